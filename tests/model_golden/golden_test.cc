// Tiny models with the logits that a reference implementation gives for them (tests/golden/models/,
// made by the script in the full set that BRAMBLE_GOLDEN names): from the file to the logits,
// through everything but the network.
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

namespace bramble {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

// Bounds in standard deviations of the logits. A swapped GELU or epsilon is as large as 0.0003.
constexpr double kStrict = 2e-4;
constexpr double kQuantizedInputs = 0.25;
// A greedy step whose two best logits are closer than this may come out otherwise.
constexpr double kCloseMargin = 4e-3;

// Families whose programs are compiled, as the cases name them.
const std::set<std::string> compiled_families = {
    "llama", "gemma3", "gemma3_text", "gpt2", "mistral", "qwen2", "qwen3", "smollm3",
    // With states.
    "mamba", "mamba2", "lfm2", "rwkv", "jamba",
    // Mixtures of experts.
    "mixtral", "qwen2_moe", "qwen2moe", "qwen3_moe", "olmoe", "granitemoe", "phimoe", "gpt_oss",
    "deepseek_v2", "deepseek_v3",
    // Decoders of one shape.
    "gpt_neox", "gptj", "codegen", "gpt_neo", "opt", "phi", "phi3", "stablelm", "starcoder2",
    "nemotron", "cohere", "olmo2", "olmo3", "gemma", "gemma2", "bloom", "mpt", "falcon", "granite",
    "cohere2", "olmo"};

json ReadExpected(const fs::path& folder) {
  std::ifstream file(folder / "expected.json");
  return json::parse(file, nullptr, false);
}

std::string ModelPath(const fs::path& folder) {
  const fs::path gguf = folder / "model.gguf";
  return fs::exists(gguf) ? gguf.string() : folder.string();
}

// The cases of a folder that we can compile.
std::vector<std::string> Cases(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const json expected = ReadExpected(entry.path());
    if (!expected.is_object() || expected.value("kind", "") != "causal_lm") continue;
    if (compiled_families.count(expected.value("family", "")) == 0) continue;
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

bool HasFloatWeights(const fs::path& folder) {
  std::ifstream config(folder / "config.json");
  if (config && json::parse(config, nullptr, false).contains("quantization_config")) return false;
  const std::string weights = ReadExpected(folder).value("weights", "");
  for (const char* type : {"f32", "f16", "bf16", "F32", "F16", "BF16"}) {
    if (weights.find(type) != std::string::npos) return true;
  }
  return false;
}

std::size_t Largest(const std::vector<float>& logits) {
  return static_cast<std::size_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

class Comparison {
 public:
  Comparison(fs::path folder, const model::CompileOptions& options, double bound)
      : folder_(std::move(folder)),
        expected_(ReadExpected(folder_)),
        options_(options),
        bound_(bound) {}

  void Run() {
    std::uint32_t room = 0;
    for (const json& prompt : expected_["prompts"]) {
      room = std::max(room, static_cast<std::uint32_t>(prompt["ids"].size() + 24));
    }
    auto engine = Engine::Open(ModelPath(folder_), options_, room);
    ASSERT_TRUE(engine.ok()) << engine.status().message();
    engine_ = std::move(*engine);
    for (const json& prompt : expected_["prompts"]) {
      SCOPED_TRACE("prompt of " + std::to_string(prompt["ids"].size()) + " ids");
      ASSERT_NO_FATAL_FAILURE(CheckLogits(prompt));
      ASSERT_NO_FATAL_FAILURE(CheckGreedy(prompt));
    }
    // For the reports that quote these figures.
    testing::Test::RecordProperty("worst_difference_over_std", std::to_string(worst_));
    std::printf("%-28s worst difference %.2e std, bound %.0e\n", folder_.filename().c_str(), worst_,
                bound_);
  }

 private:
  void Check(double got, double expected, double std, const std::string& what) {
    const double difference = std::fabs(got - expected) / std;
    worst_ = std::max(worst_, difference);
    EXPECT_LE(difference, bound_) << what << ": " << got << " instead of " << expected << ", std "
                                  << std;
  }

  void CheckLogits(const json& prompt) {
    const auto ids = prompt["ids"].get<std::vector<std::uint32_t>>();
    std::vector<std::uint32_t> at;
    for (const json& position : prompt["positions"]) at.push_back(position["pos"]);
    at.push_back(static_cast<std::uint32_t>(ids.size() - 1));
    auto rows = engine_->Prefill(ids, at);
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
    last_ = rows->back();
    const auto expected = prompt["logits_last"].get<std::vector<double>>();
    ASSERT_EQ(last_.size(), expected.size());
    for (std::size_t id = 0; id < expected.size(); ++id) {
      Check(last_[id], expected[id], prompt["logits_std"],
            "last position, id " + std::to_string(id));
    }
  }

  // Goes on from the prompt's caches: a step of one row must give what a fresh pass over everything
  // gives.
  void CheckGreedy(const json& prompt) {
    if (!prompt.contains("greedy_ids")) return;
    const double close = std::max(kCloseMargin, 2 * bound_) * prompt["logits_std"].get<double>();
    std::vector<float> logits = last_;
    for (std::size_t i = 0; i < prompt["greedy_ids"].size(); ++i) {
      if (prompt["greedy_margin"][i].get<double>() < close) return;
      const std::uint32_t expected = prompt["greedy_ids"][i];
      ASSERT_EQ(Largest(logits), expected) << "greedy step " << i;
      if (i + 1 == prompt["greedy_ids"].size()) return;
      auto next = engine_->Decode(expected);
      ASSERT_TRUE(next.ok()) << next.status().message();
      logits = *std::move(next);
    }
  }

  fs::path folder_;
  json expected_;
  model::CompileOptions options_;
  double bound_;
  std::unique_ptr<Engine> engine_;
  std::vector<float> last_;
  double worst_ = 0;
};

const fs::path stored_cases = fs::path(BRAMBLE_SOURCE_DIR) / "tests/golden/models";

class EveryGoldenModel : public ::testing::TestWithParam<std::string> {};

TEST_P(EveryGoldenModel, GivesTheReferenceLogitsInTheTrueMode) {
  Comparison(stored_cases / GetParam(), model::TrueMode(), kStrict).Run();
}

// A model of float weights loses nothing in the normal mode; in a quantized one inputs are rounded
// to 8 bits.
TEST_P(EveryGoldenModel, GivesTheReferenceLogitsInTheNormalModeToo) {
  const bool floats = HasFloatWeights(stored_cases / GetParam());
  Comparison(stored_cases / GetParam(), {}, floats ? kStrict : kQuantizedInputs).Run();
}

INSTANTIATE_TEST_SUITE_P(Golden, EveryGoldenModel, ::testing::ValuesIn(Cases(stored_cases)),
                         [](const auto& test) { return test.param; });

TEST(Golden, EveryOtherCaseOfTheFullSetAgreesInBothModes) {
  const char* folder = std::getenv("BRAMBLE_GOLDEN");
  const fs::path full =
      folder != nullptr ? fs::path(folder) : fs::path(BRAMBLE_SOURCE_DIR) / "../shared/golden";
  if (!fs::is_directory(full)) GTEST_SKIP() << "there is no folder " << full << " (BRAMBLE_GOLDEN)";
  const std::vector<std::string> stored = Cases(stored_cases);
  for (const std::string& name : Cases(full)) {
    // A set of another seed has the same names.
    if (folder == nullptr && std::binary_search(stored.begin(), stored.end(), name)) continue;
    SCOPED_TRACE(name);
    Comparison(full / name, model::TrueMode(), kStrict).Run();
    const bool floats = HasFloatWeights(full / name);
    Comparison(full / name, {}, floats ? kStrict : kQuantizedInputs).Run();
  }
}

}  // namespace
}  // namespace bramble
