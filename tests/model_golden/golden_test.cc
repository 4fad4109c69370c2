// Tiny models with the logits that a reference implementation gives for them (tests/golden/models/,
// made by the script in the full set that BRAMBLE_GOLDEN names): from the file to the logits,
// through everything but the network.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "tests/model_golden/comparison_helpers.h"

namespace bramble {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

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

// The cases of a folder that we can compile.
std::vector<std::string> Cases(const fs::path& folder) {
  return CasesOfKind(folder, "causal_lm", [](const std::string& family, const fs::path&) {
    return compiled_families.count(family) > 0;
  });
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
