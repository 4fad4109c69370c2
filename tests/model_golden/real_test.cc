// Real models (BRAMBLE_MODELS names their folder) against tests/golden/real/: the logits of a
// float32 reference over the dequantized weights.
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

namespace bramble {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

struct Real {
  const char* name;
  const char* file;      // in BRAMBLE_MODELS
  const char* expected;  // in tests/golden/real/
  std::vector<std::string> prompts;
  int greedy_steps;  // as many as a test may take time for

  // Named in the list of tests.
  friend void PrintTo(const Real& real, std::ostream* out) { *out << real.name; }
};

const Real real_models[] = {
    {"SmolLm2",
     "smollm2-135m-instruct-q4_1.gguf",
     "smollm2.json",
     {"capital", "list", "languages"},
     12},
    {"Gemma3", "gemma-3-270m-q4_k_m.gguf", "gemma3.json", {"capital", "list"}, 8},
};

class EveryRealModel : public ::testing::TestWithParam<Real> {
 protected:
  void SetUp() override {
    const char* models = std::getenv("BRAMBLE_MODELS");
    if (models == nullptr) GTEST_SKIP() << "BRAMBLE_MODELS is not set";
    path_ = (fs::path(models) / GetParam().file).string();
    if (!fs::exists(path_)) GTEST_SKIP() << "there is no " << path_;
    std::ifstream file(fs::path(BRAMBLE_SOURCE_DIR) / "tests/golden/real" / GetParam().expected);
    expected_ = json::parse(file);
  }

  // Runs the chosen prompts. `top_bound`: of each of the 20 largest logits; with `relative` in
  // standard deviations.
  void Compare(const model::CompileOptions& options, double top_bound, bool relative,
               double close) {
    auto engine = Engine::Open(path_, options, 512);
    ASSERT_TRUE(engine.ok()) << engine.status().message();
    double worst = 0;
    for (const json& prompt : expected_["prompts"]) {
      const auto& chosen = GetParam().prompts;
      if (std::find(chosen.begin(), chosen.end(), prompt["name"].get<std::string>()) ==
          chosen.end())
        continue;
      SCOPED_TRACE(prompt["name"].get<std::string>());
      const auto ids = prompt["ids"].get<std::vector<std::uint32_t>>();
      const std::uint32_t last = static_cast<std::uint32_t>(ids.size() - 1);
      auto rows = (*engine)->Prefill(ids, std::span(&last, 1));
      ASSERT_TRUE(rows.ok()) << rows.status().message();
      std::vector<float> logits = std::move(rows->front());
      const json& truth = prompt["f32"];
      const double unit = relative ? truth["last"]["std"].get<double>() : 1;
      for (const json& entry : truth["last"]["top"]) {
        const double difference =
            std::fabs(logits.at(entry[0].get<std::size_t>()) - entry[1].get<double>()) / unit;
        worst = std::max(worst, difference);
        EXPECT_LE(difference, top_bound) << "id " << entry[0];
      }
      for (int i = 0; i < GetParam().greedy_steps && truth["margin"][i].get<double>() >= close;
           ++i) {
        const auto best = std::max_element(logits.begin(), logits.end()) - logits.begin();
        ASSERT_EQ(best, truth["greedy"][i].get<std::ptrdiff_t>()) << "greedy step " << i;
        auto next = (*engine)->Decode(truth["greedy"][i]);
        ASSERT_TRUE(next.ok()) << next.status().message();
        logits = *std::move(next);
      }
    }
    std::printf("%-8s worst difference %.2e%s, bound %.0e\n", GetParam().name, worst,
                relative ? " std" : "", top_bound);
  }

  std::string path_;
  json expected_;
};

TEST_P(EveryRealModel, GivesTheReferenceLogitsInTheTrueMode) {
  Compare(model::TrueMode(), 0.001, false, 0.01);
}

TEST_P(EveryRealModel, GivesTheReferenceLogitsNearlyInTheNormalMode) {
  Compare({}, 0.25, true, 0.3);
}

INSTANTIATE_TEST_SUITE_P(Golden, EveryRealModel, ::testing::ValuesIn(real_models),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace bramble
