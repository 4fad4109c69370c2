#include "model/families/table.h"

#include <string_view>

#include "model/files/quote.h"

namespace bramble::model::families {
namespace {

constexpr Family kFamilies[] = {
    {"llama", "llama", CompileLlama},
    {nullptr, "mistral", CompileMistral},  // GGUF files of it name "llama"
    {"qwen2", "qwen2", CompileQwen2},
    {"qwen3", "qwen3", CompileQwen3},
    {"smollm3", "smollm3", CompileSmolLm3},
    {"gemma3", "gemma3_text", CompileGemma3},
    {nullptr, "gemma3", CompileGemma3},  // with a vision tower, which is left out
    {"gpt2", "gpt2", CompileGpt2},
    {nullptr, "mixtral", CompileMixtral},  // GGUF files of it name "llama"
    {"qwen2moe", "qwen2_moe", CompileQwen2Moe},
    {"qwen3moe", "qwen3_moe", CompileQwen3Moe},
    {"olmoe", "olmoe", CompileOlmoe},
    {"granitemoe", "granitemoe", CompileGraniteMoe},
    {nullptr, "phimoe", CompilePhimoe},
    {"gpt-oss", "gpt_oss", CompileGptOss},
    {"deepseek2", "deepseek_v2", CompileDeepseekV2},  // GGUF files of V3 name "deepseek2" too
    {nullptr, "deepseek_v3", CompileDeepseekV3},
    {"gptneox", "gpt_neox", CompileGptNeoX},
    {nullptr, "gptj", CompileGptJ},
    {nullptr, "codegen", CompileCodeGen},
    {nullptr, "gpt_neo", CompileGptNeo},
    {nullptr, "opt", CompileOpt},
    {"phi2", "phi", CompilePhi},
    {"phi3", "phi3", CompilePhi3},
    {"stablelm", "stablelm", CompileStableLm},
    {"starcoder2", "starcoder2", CompileStarCoder2},
    {"nemotron", "nemotron", CompileNemotron},
    {"command-r", "cohere", CompileCohere},
    {"cohere2", "cohere2", CompileCohere2},
    {"olmo", "olmo", CompileOlmo},
    {"olmo2", "olmo2", CompileOlmo2},
    {nullptr, "olmo3", CompileOlmo2},  // GGUF files of it name "olmo2"
    {"gemma", "gemma", CompileGemma},
    {"gemma2", "gemma2", CompileGemma2},
    {"bloom", "bloom", CompileBloom},
    {"mpt", "mpt", CompileMpt},
    {"falcon", "falcon", CompileFalcon},
    {"granite", "granite", CompileGranite},
    {nullptr, "nanogpt", CompileNanoGpt},
    {nullptr, "mingpt", CompileMinGpt},
    {nullptr, "litgpt", CompileLitGpt},
    {nullptr, "bert", CompileBert},
    {nullptr, "roberta", CompileRoberta},
    {nullptr, "xlm-roberta", CompileRoberta},
    {nullptr, "distilbert", CompileDistilBert},
    {nullptr, "electra", CompileElectra},
    {nullptr, "modernbert", CompileModernBert},
    {nullptr, "mamba", CompileMamba},
    {nullptr, "mamba2", CompileMamba2},
    {nullptr, "jamba", CompileJamba},
    {nullptr, "lfm2", CompileLfm2},
    {nullptr, "rwkv", CompileRwkv},
    {nullptr, "t5", CompileT5},
    {nullptr, "bart", CompileBart},
    {nullptr, "mbart", CompileMBart},
};

std::string Known(bool is_hf) {
  std::string names;
  for (const Family& family : kFamilies) {
    const char* name = is_hf ? family.hf : family.gguf;
    if (name != nullptr) names += (names.empty() ? "" : ", ") + std::string(name);
  }
  return names;
}

}  // namespace

std::span<const Family> Families() { return kFamilies; }

std::string FamilyName(const files::ModelFiles& files) {
  const bool is_hf = files.dialect == files::Dialect::kHuggingFace;
  const files::MetaValue* value =
      files::FindValue(files.metadata, is_hf ? "model_type" : "general.architecture");
  return value == nullptr ? "" : std::string(value->Text().value_or(""));
}

Result<const Family*> FindFamily(const files::ModelFiles& files) {
  const bool is_hf = files.dialect == files::Dialect::kHuggingFace;
  const std::string name = FamilyName(files);
  if (name.empty()) {
    return Invalid(is_hf ? "config.json: 'model_type'" : "metadata key 'general.architecture'",
                   " is missing, which says what the model is");
  }
  for (const Family& family : kFamilies) {
    const char* own = is_hf ? family.hf : family.gguf;
    if (own != nullptr && name == own) return &family;
  }
  return Unimplemented("models of the family ", files::Quote(name),
                       " cannot be compiled yet; known: ", Known(is_hf));
}

}  // namespace bramble::model::families
