// Tiny encoder-decoders with the logits that a reference implementation gives for them
// (tests/golden/models/, and the full set that BRAMBLE_GOLDEN names).
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "tests/model_golden/engine_helpers.h"
#include "tests/model_golden/golden_cases.h"

namespace bramble {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

// In standard deviations of the logits.
constexpr double kStrict = 2e-4;
// A greedy step whose two best logits are closer than this may come out otherwise.
constexpr double kCloseMargin = 4e-3;

const std::set<std::string> compiled_families = {"t5", "bart", "mbart"};

std::vector<std::string> Cases(const fs::path& folder) {
  return CasesOfKind(folder, "seq2seq", [](const std::string& family, const fs::path&) {
    return compiled_families.count(family) > 0;
  });
}

using Ids = std::vector<std::uint32_t>;

class Comparison {
 public:
  explicit Comparison(fs::path folder)
      : folder_(std::move(folder)), expected_(ReadExpected(folder_)) {}

  void Run() {
    std::size_t room = 0;
    for (const json& prompt : expected_["prompts"]) {
      room = std::max({room, prompt["encoder_ids"].size(), prompt["decoder_ids"].size() + 24});
    }
    auto engine =
        Engine::Open(folder_.string(), model::TrueMode(), static_cast<std::uint32_t>(room));
    ASSERT_TRUE(engine.ok()) << engine.status().message();
    for (const json& prompt : expected_["prompts"]) {
      SCOPED_TRACE("source of " + std::to_string(prompt["encoder_ids"].size()) + " ids");
      ASSERT_NO_FATAL_FAILURE(CheckLogits(**engine, prompt));
      ASSERT_NO_FATAL_FAILURE(CheckGreedy(**engine, prompt));
    }
    std::printf("%-28s worst difference %.2e std, bound %.0e\n", folder_.filename().c_str(), worst_,
                kStrict);
  }

 private:
  void Check(double got, double expected, double std, const std::string& what) {
    const double difference = std::fabs(got - expected) / std;
    worst_ = std::max(worst_, difference);
    EXPECT_LE(difference, kStrict) << what << ": " << got << " instead of " << expected;
  }

  void CheckLogits(Engine& engine, const json& prompt) {
    const auto ids = prompt["decoder_ids"].get<Ids>();
    Ids at;
    for (const json& position : prompt["positions"]) at.push_back(position["pos"]);
    at.push_back(static_cast<std::uint32_t>(ids.size() - 1));
    const auto rows = engine.Prefill(ids, at, prompt["encoder_ids"].get<Ids>());
    ASSERT_TRUE(rows.ok()) << rows.status().message();
    ASSERT_EQ(rows->size(), at.size());
    for (std::size_t i = 0; i < prompt["positions"].size(); ++i) {
      const json& position = prompt["positions"][i];
      for (std::size_t k = 0; k < position["top_ids"].size(); ++k) {
        const std::size_t id = position["top_ids"][k];
        Check((*rows)[i].at(id), position["top_values"][k], position["std"],
              "position " + std::to_string(at[i]) + ", id " + std::to_string(id));
      }
    }
    const auto expected = prompt["logits_last"].get<std::vector<double>>();
    ASSERT_EQ(rows->back().size(), expected.size());
    for (std::size_t id = 0; id < expected.size(); ++id) {
      Check(rows->back()[id], expected[id], prompt["logits_std"],
            "last position, id " + std::to_string(id));
    }
  }

  // From the start id alone, step by step over what the encoder left.
  void CheckGreedy(Engine& engine, const json& prompt) {
    const double close = kCloseMargin * prompt["logits_std"].get<double>();
    const Ids start = {engine.model().program().start_id()};
    ASSERT_EQ(start.front(), prompt["decoder_ids"][0].get<std::uint32_t>());
    const Ids at = {0};
    auto rows = engine.Prefill(start, at, prompt["encoder_ids"].get<Ids>());
    ASSERT_TRUE(rows.ok()) << rows.status().message();
    std::vector<float> logits = std::move(rows->front());
    const auto ids = prompt["greedy_from_start_ids"].get<Ids>();
    for (std::size_t i = 0; i < ids.size(); ++i) {
      if (prompt["greedy_margin"][i].get<double>() < close) return;
      const auto best = std::max_element(logits.begin(), logits.end()) - logits.begin();
      ASSERT_EQ(best, static_cast<std::ptrdiff_t>(ids[i])) << "greedy step " << i;
      auto next = engine.Decode(ids[i]);
      ASSERT_TRUE(next.ok()) << next.status().message();
      logits = *std::move(next);
    }
  }

  fs::path folder_;
  json expected_;
  double worst_ = 0;
};

class EveryGoldenEncoderDecoder : public ::testing::TestWithParam<std::string> {};

TEST_P(EveryGoldenEncoderDecoder, GivesTheReferenceLogits) {
  Comparison(stored_cases / GetParam()).Run();
}

INSTANTIATE_TEST_SUITE_P(Golden, EveryGoldenEncoderDecoder,
                         ::testing::ValuesIn(Cases(stored_cases)),
                         [](const auto& test) { return test.param; });

TEST(Golden, EveryOtherEncoderDecoderOfTheFullSetAgrees) {
  const char* folder = std::getenv("BRAMBLE_GOLDEN");
  if (folder == nullptr) GTEST_SKIP() << "BRAMBLE_GOLDEN is not set";
  for (const std::string& name : Cases(folder)) {
    SCOPED_TRACE(name);
    Comparison(fs::path(folder) / name).Run();
  }
}

}  // namespace
}  // namespace bramble
