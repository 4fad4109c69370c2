#include "text_helpers.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>

#include "model/codec.h"
#include "model/files/gguf.h"
#include "model/files/mapped_file.h"
#include "model/text/byte_letters.h"

namespace bramble::model::text {
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
  ASSIGN_OR_RETURN(const auto file, files::MappedFile::Open(path));
  ASSIGN_OR_RETURN(const files::GgufPart part, files::ReadGguf(file->bytes()));
  return ReadGgufVocabulary(part.metadata);
}

Result<VocabularySpec> SpecOfFile(const std::string& path) {
  if (path.ends_with(".gguf")) return SpecOfGguf(path);
  const std::string bytes = ReadAll(path);
  if (path.ends_with(".json")) return ReadTokenizerJson(bytes);
  return ReadSentencePieceModel(std::as_bytes(std::span(bytes)));
}

VocabularySpec SmallSpec() {
  VocabularySpec spec;
  spec.pre = "gpt-2";
  for (unsigned byte = 0; byte < 256; ++byte) {
    spec.tokens.emplace_back(LetterOfByte(static_cast<unsigned char>(byte)));
  }
  for (const char* token : {"ab", "abc"}) spec.tokens.emplace_back(token);
  spec.types.assign(spec.tokens.size(), TokenType::kNormal);
  for (const char* token : {"<s>", "</s>", "<|im_start|>", "<|im_end|>"}) {
    spec.tokens.emplace_back(token);
    spec.types.push_back(TokenType::kControl);
  }
  spec.merges = {"a b", "ab c"};
  spec.bos = 258;
  spec.eos = 259;
  return spec;
}

std::unique_ptr<Tokenizer> MakeOrFail(VocabularySpec spec) {
  auto tokenizer = MakeTokenizer(std::move(spec));
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  return tokenizer.ok() ? *std::move(tokenizer) : nullptr;
}

std::unique_ptr<Tokenizer> GoldenTokenizer(const std::string& name) {
  auto spec = SpecOfFile(GoldenPath("tokenizers/" + name));
  EXPECT_TRUE(spec.ok()) << name << ": " << spec.status().message();
  return spec.ok() ? MakeOrFail(*std::move(spec)) : nullptr;
}

}  // namespace bramble::model::text
