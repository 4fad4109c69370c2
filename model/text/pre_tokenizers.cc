#include "model/text/pre_tokenizers.h"

#include <algorithm>

// The expressions and names are facts of the models' tokenizer.json files and of llama.cpp's list
// of `tokenizer.ggml.pre` (llama-vocab.cpp, ggml 0.25.3), checked against both by
// tests/golden/tokenizers. An expression that llama.cpp had to rewrite for its own matcher is here
// as tokenizer.json has it.
namespace bramble::model::text {
namespace {

// clang-format off
constexpr std::string_view kDefault[] = {
    R"re([\p{P}\$\+<=>\^~\|]+)re",
    R"re('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S))re",
    R"re(\p{N}+)re",
    R"re([0-9][0-9][0-9])re",
};
constexpr std::string_view kGpt2[] = {
    R"re('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S))re",
};
constexpr std::string_view kLlama3[] = {
    R"re((?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)re",
};
constexpr std::string_view kDeepSeekLlm[] = {
    R"re([\r\n])re",
    R"re(\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼιῂ-ῄῆ-ῌῐ-ΐῖ-Ίῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+)re",
    R"re(\s?[!-/:-~！-／：-～‘-‟　-。]+)re",
    R"re(\s+$)re",
    R"re([一-龥ࠀ-一가-퟿]+)re",
    R"re(\p{N}+)re",
};
constexpr std::string_view kDeepSeekCoder[] = {
    R"re([\r\n])re",
    R"re(\s?\p{L}+)re",
    R"re(\s?\p{P}+)re",
    R"re([一-龥ࠀ-一가-퟿]+)re",
    R"re(\p{N})re",
};
constexpr std::string_view kDeepSeekV3[] = {
    R"re(\p{N}{1,3})re",
    R"re([一-龥぀-ゟ゠-ヿ]+)re",
    R"re([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)re",
};
constexpr std::string_view kFalcon[] = {
    R"re([\p{P}\$\+<=>\^~\|`]+)re",
    R"re('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S))re",
    R"re([0-9][0-9][0-9])re",
};
constexpr std::string_view kStarCoder[] = {
    R"re(\p{N})re",
    R"re('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S))re",
};
constexpr std::string_view kQwen2[] = {
    R"re((?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)re",
};
constexpr std::string_view kQwen35[] = {
    R"re((?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)re",
};
constexpr std::string_view kTekken[] = {
    R"re([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)re",
};
constexpr std::string_view kBloom[] = {
    R"re( ?[^(\s|.,!?…。，、।۔،)]+)re",
};
constexpr std::string_view kGpt4o[] = {
    R"re([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)re",
};
constexpr std::string_view kSuperBpe[] = {
    R"re(\p{N}+)re",
    R"re((?=(\d{3})+(?!\d)))re",
};
constexpr std::string_view kBailingMoe[] = {
    R"re('(?:[sSdDmMtT]|[lL][lL]|[vV][eE]|[rR][eE])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+)re",
};
constexpr std::string_view kSeedCoder[] = {
    R"re((?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+)re",
};
constexpr std::string_view kKimiK2[] = {
    R"re(\p{Han}+)re",
};
constexpr std::string_view kGemma4[] = {
    R"re([^\n]+|[\n]+)re",
};
constexpr std::string_view kMiniMaxM2[] = {
    R"re([^\r\n\p{L}\p{N}]?((?=[\p{L}])([^a-z]))*((?=[\p{L}])([^A-Z]))+(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?|[^\r\n\p{L}\p{N}]?((?=[\p{L}])([^a-z]))+((?=[\p{L}])([^A-Z]))*(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)re",
};
constexpr std::string_view kViking[] = {
    R"re( ?[^(\s|.,!?…。，、।۔،)]+)re",
    R"re(\p{N})re",
};

constexpr PreTokenizer kRows[] = {
    {.name = "default", .splits = kDefault},
    {.name = "gpt-2", .splits = kGpt2},
    {.name = "llama-bpe", .splits = kLlama3, .ignore_merges = true, .add_bos = true},
    {.name = "llama3", .splits = kLlama3, .ignore_merges = true, .add_bos = true},
    {.name = "llama-v3", .splits = kLlama3, .ignore_merges = true, .add_bos = true},
    {.name = "falcon3", .splits = kLlama3, .ignore_merges = true, .add_bos = true},
    {.name = "pixtral", .splits = kLlama3, .ignore_merges = true, .add_bos = true},
    {.name = "lfm2", .splits = kLlama3, .ignore_merges = true, .add_bos = true},
    {.name = "deepseek-llm", .splits = kDeepSeekLlm},
    {.name = "deepseek-coder", .splits = kDeepSeekCoder},
    {.name = "deepseek-v3", .splits = kDeepSeekV3},
    {.name = "falcon", .splits = kFalcon},
    {.name = "mpt", .splits = kGpt2},
    {.name = "starcoder", .splits = kStarCoder},
    {.name = "refact", .splits = kStarCoder},
    {.name = "command-r", .splits = kStarCoder},
    {.name = "qwen2", .splits = kQwen2},
    {.name = "deepseek-r1-qwen", .splits = kQwen2},
    {.name = "qwen35", .splits = kQwen35},
    {.name = "stablelm2", .splits = kQwen2},
    {.name = "olmo", .splits = kGpt2},
    {.name = "dbrx", .splits = kLlama3},
    {.name = "smaug-bpe", .splits = kLlama3},
    {.name = "chatglm-bpe", .splits = kLlama3},
    {.name = "glm4", .splits = kLlama3, .ignore_merges = true},
    {.name = "tekken", .splits = kTekken, .ignore_merges = true, .add_bos = true},
    {.name = "smollm", .splits = kStarCoder},
    {.name = "codeshell", .splits = kStarCoder},
    {.name = "bloom", .splits = kBloom},
    {.name = "exaone", .splits = kStarCoder},
    {.name = "exaone4", .splits = kGpt2},
    {.name = "minerva-7b", .splits = kStarCoder},
    {.name = "gpt-4o", .splits = kGpt4o},
    {.name = "llama4", .splits = kGpt4o},
    {.name = "superbpe", .splits = kSuperBpe},
    {.name = "bailingmoe", .splits = kBailingMoe},
    {.name = "seed-coder", .splits = kSeedCoder},
    {.name = "hunyuan", .splits = kQwen2},
    {.name = "hunyuan-dense", .splits = kDeepSeekV3},
    {.name = "kimi-k2", .splits = kKimiK2},
    {.name = "gemma4", .splits = kGemma4, .byte_level = false},
    {.name = "granite-docling", .splits = kGpt2},
    {.name = "grok-2", .splits = kQwen2},
    {.name = "phi-2", .splits = kGpt2},
    {.name = "jina-v2-code", .splits = kGpt2, .add_separator = true},
    {.name = "roberta-bpe", .splits = kGpt2, .add_separator = true},
    {.name = "modern-bert", .splits = kGpt2},
    {.name = "minimax-m2", .splits = kMiniMaxM2},
    {.name = "viking", .splits = kViking},
    {.name = "poro-chat", .splits = kBloom},
    {.name = "megrez", .splits = kQwen2},
    {.name = "trillion", .splits = kGpt2},
    {.name = "jais", .splits = kGpt2},
};
// clang-format on

}  // namespace

const PreTokenizer* FindPreTokenizer(std::string_view name) {
  if (name.empty()) name = "default";
  const auto* row = std::find_if(std::begin(kRows), std::end(kRows),
                                 [name](const PreTokenizer& each) { return each.name == name; });
  return row == std::end(kRows) ? nullptr : row;
}

std::span<const PreTokenizer> PreTokenizers() { return kRows; }

}  // namespace bramble::model::text
