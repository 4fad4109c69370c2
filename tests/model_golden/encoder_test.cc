// Tiny encoders with what a reference implementation gives for them (tests/golden/models/, and the
// full set that BRAMBLE_GOLDEN names): hidden values, sentence embeddings, pooled vectors, scores.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/model_golden/engine_helpers.h"
#include "tests/model_golden/golden_cases.h"

namespace bramble {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

// In standard deviations of the hidden values.
constexpr double kStrict = 2e-4;

std::vector<std::string> Cases(const fs::path& folder) {
  return CasesOfKind(folder, "encoder", [](const std::string&, const fs::path&) { return true; });
}

class Comparison {
 public:
  explicit Comparison(fs::path folder)
      : folder_(std::move(folder)), expected_(ReadExpected(folder_)) {}

  void Run() {
    std::size_t room = 0;
    for (const json& prompt : expected_["prompts"]) room = std::max(room, prompt["ids"].size());
    auto engine =
        Engine::Open(folder_.string(), model::TrueMode(), static_cast<std::uint32_t>(room));
    ASSERT_TRUE(engine.ok()) << engine.status().message();
    for (const json& prompt : expected_["prompts"]) {
      SCOPED_TRACE("prompt of " + std::to_string(prompt["ids"].size()) + " ids");
      ASSERT_NO_FATAL_FAILURE(Check(**engine, prompt));
    }
    std::printf("%-28s worst difference %.2e std, bound %.0e\n", folder_.filename().c_str(), worst_,
                kStrict);
  }

 private:
  void Check(Engine& engine, const json& prompt) {
    const auto ids = prompt["ids"].get<std::vector<std::uint32_t>>();
    std::vector<std::uint32_t> types;
    if (prompt.contains("token_type_ids")) {
      types = prompt["token_type_ids"].get<std::vector<std::uint32_t>>();
    }
    std::vector<std::uint32_t> at;
    const json rows = prompt.value("hidden_rows", json::array());
    for (const json& row : rows) at.push_back(row["pos"]);
    const auto encoded = engine.Encode(ids, types, at);
    ASSERT_TRUE(encoded.ok()) << encoded.status().message();
    const double std = prompt["std"];
    ASSERT_EQ(encoded->hidden.size(), at.size());
    for (std::size_t i = 0; i < at.size(); ++i) {
      Compare(encoded->hidden[i], rows[i]["values"], std, "hidden row " + std::to_string(at[i]));
    }
    // Of length 1: its numbers are small.
    if (prompt.contains("mean_pooled_l2")) {
      Compare(encoded->embedding, prompt["mean_pooled_l2"], 1, "embedding");
    }
    if (prompt.contains("pooler_output")) {
      Compare(encoded->head, prompt["pooler_output"], 1, "pooled");
    }
    if (prompt.contains("class_logits")) {
      Compare(encoded->head, prompt["class_logits"], std, "class");
    }
  }

  void Compare(const std::vector<float>& got, const json& expected, double std,
               const std::string& what) {
    ASSERT_EQ(got.size(), expected.size()) << what;
    for (std::size_t i = 0; i < got.size(); ++i) {
      const double difference = std::fabs(got[i] - expected[i].get<double>()) / std;
      worst_ = std::max(worst_, difference);
      EXPECT_LE(difference, kStrict)
          << what << ", number " << i << ": " << got[i] << " instead of " << expected[i];
    }
  }

  fs::path folder_;
  json expected_;
  double worst_ = 0;
};

class EveryGoldenEncoder : public ::testing::TestWithParam<std::string> {};

TEST_P(EveryGoldenEncoder, GivesTheReferenceValues) { Comparison(stored_cases / GetParam()).Run(); }

INSTANTIATE_TEST_SUITE_P(Golden, EveryGoldenEncoder, ::testing::ValuesIn(Cases(stored_cases)),
                         [](const auto& test) { return test.param; });

TEST(Golden, EveryOtherEncoderOfTheFullSetAgrees) {
  const char* folder = std::getenv("BRAMBLE_GOLDEN");
  if (folder == nullptr) GTEST_SKIP() << "BRAMBLE_GOLDEN is not set";
  for (const std::string& name : Cases(folder)) {
    SCOPED_TRACE(name);
    Comparison(fs::path(folder) / name).Run();
  }
}

}  // namespace
}  // namespace bramble
