#include "text_helpers.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>

#include "model/files/gguf.h"

namespace bramble::model::text {
namespace {

using files::FindValue;
using files::Metadata;

void SetId(const Metadata& metadata, const char* key, std::optional<std::uint32_t>& id) {
  const auto* value = FindValue(metadata, std::string("tokenizer.ggml.") + key);
  if (value != nullptr) id = static_cast<std::uint32_t>(value->Whole().value());
}

void SetFlag(const Metadata& metadata, const char* key, std::optional<bool>& flag) {
  const auto* value = FindValue(metadata, std::string("tokenizer.ggml.") + key);
  if (value != nullptr) flag = value->Flag().value();
}

std::vector<std::string> Texts(const Metadata& metadata, const char* key) {
  const auto* value = FindValue(metadata, std::string("tokenizer.ggml.") + key);
  if (value == nullptr) return {};
  const auto texts = value->Texts(1 << 24);
  EXPECT_TRUE(texts.ok()) << texts.status().message();
  return {texts->begin(), texts->end()};
}

std::vector<double> Numbers(const Metadata& metadata, const char* key) {
  const auto* value = FindValue(metadata, std::string("tokenizer.ggml.") + key);
  if (value == nullptr) return {};
  const auto numbers = value->Numbers(1 << 24);
  EXPECT_TRUE(numbers.ok()) << numbers.status().message();
  return *numbers;
}

}  // namespace

std::string GoldenPath(const std::string& name) {
  return std::string(BRAMBLE_SOURCE_DIR "/tests/golden/") + name;
}

std::string ReadAll(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.good()) << "cannot open " << path;
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

nlohmann::ordered_json GoldenJson(const std::string& name) {
  return nlohmann::ordered_json::parse(ReadAll(GoldenPath(name)));
}

std::string ModelPath(const std::string& name) {
  const char* folder = std::getenv("BRAMBLE_MODELS");
  if (folder == nullptr) return {};
  std::string path = std::string(folder) + "/" + name;
  return std::filesystem::exists(path) ? path : std::string();
}

Result<VocabularySpec> SpecOfGguf(const std::string& path) {
  const std::string bytes = ReadAll(path);
  ASSIGN_OR_RETURN(const files::GgufPart part, files::ReadGguf(std::as_bytes(std::span(bytes))));
  const Metadata& metadata = part.metadata;
  VocabularySpec spec;
  spec.gguf = true;
  const std::string model(FindValue(metadata, "tokenizer.ggml.model")->Text().value());
  spec.kind = model == "gpt2"    ? VocabularyKind::kByteLevelBpe
              : model == "llama" ? VocabularyKind::kSentencePieceBpe
              : model == "t5"    ? VocabularyKind::kSentencePieceUnigram
                                 : VocabularyKind::kWordPiece;
  if (const auto* pre = FindValue(metadata, "tokenizer.ggml.pre")) spec.pre = pre->Text().value();
  spec.tokens = Texts(metadata, "tokens");
  spec.merges = Texts(metadata, "merges");
  for (const double score : Numbers(metadata, "scores"))
    spec.scores.push_back(static_cast<float>(score));
  for (const double type : Numbers(metadata, "token_type"))
    spec.types.push_back(static_cast<TokenType>(type));
  for (const double byte : Numbers(metadata, "precompiled_charsmap")) {
    spec.charsmap += static_cast<char>(static_cast<int>(byte));
  }
  SetFlag(metadata, "add_space_prefix", spec.add_space_prefix);
  SetFlag(metadata, "remove_extra_whitespaces", spec.remove_extra_spaces);
  SetFlag(metadata, "add_bos_token", spec.add_bos);
  SetFlag(metadata, "add_eos_token", spec.add_eos);
  SetId(metadata, "bos_token_id", spec.bos);
  SetId(metadata, "eos_token_id", spec.eos);
  SetId(metadata, "unknown_token_id", spec.unknown);
  SetId(metadata, "padding_token_id", spec.padding);
  SetId(metadata, "seperator_token_id", spec.separator);
  SetId(metadata, "cls_token_id", spec.classification);
  SetId(metadata, "mask_token_id", spec.mask);
  return spec;
}

Result<VocabularySpec> SpecOfFile(const std::string& path) {
  if (path.ends_with(".gguf")) return SpecOfGguf(path);
  const std::string bytes = ReadAll(path);
  if (path.ends_with(".json")) return ReadTokenizerJson(bytes);
  return ReadSentencePieceModel(std::as_bytes(std::span(bytes)));
}

std::unique_ptr<Tokenizer> GoldenTokenizer(const std::string& name) {
  auto spec = SpecOfFile(GoldenPath("tokenizers/" + name));
  EXPECT_TRUE(spec.ok()) << name << ": " << spec.status().message();
  if (!spec.ok()) return nullptr;
  auto tokenizer = MakeTokenizer(*std::move(spec));
  EXPECT_TRUE(tokenizer.ok()) << name << ": " << tokenizer.status().message();
  return tokenizer.ok() ? *std::move(tokenizer) : nullptr;
}

}  // namespace bramble::model::text
