#include <gtest/gtest.h>

#include <span>
#include <string>

#include "model/text/tokenizer.h"
#include "text_helpers.h"

namespace bramble::model::text {
namespace {

Result<VocabularySpec> Read(std::string_view bytes) {
  return ReadSentencePieceModel(std::as_bytes(std::span(bytes.data(), bytes.size())));
}

TEST(SentencePieceModel, ReadsWhatTheFileSays) {
  const auto spec = Read(ReadAll(GoldenPath("tokenizers/small/t5-unigram.model")));
  ASSERT_TRUE(spec.ok()) << spec.status().message();
  EXPECT_EQ(spec->kind, VocabularyKind::kSentencePieceUnigram);
  EXPECT_EQ(spec->tokens.size(), 698U);
  EXPECT_EQ(spec->remove_extra_spaces, true);
  EXPECT_EQ(spec->add_space_prefix, true);
  EXPECT_EQ(spec->unknown, 2U);
  EXPECT_EQ(spec->charsmap.size(), 240007U);
}

// Whatever is cut off, the answer is a status or a vocabulary that can be checked; never a crash.
TEST(SentencePieceModel, SurvivesEveryCut) {
  const std::string model = ReadAll(GoldenPath("tokenizers/small/spm-bpe.model"));
  std::size_t refused = 0;
  for (std::size_t size = 0; size < model.size(); size += 7) {
    auto spec = Read(std::string_view(model).substr(0, size));
    const bool good = spec.ok() && MakeTokenizer(*std::move(spec)).ok();
    refused += good ? 0 : 1;
  }
  EXPECT_GT(refused, model.size() / 7 / 2);
}

struct Refusal {
  std::string bytes;
  const char* message;
};

TEST(SentencePieceModel, RefusesWhatIsNotAMessage) {
  const std::string piece = std::string("\x0a\x05\x0a\x01", 4) + "a\x18\x09";  // type 9
  const Refusal cases[] = {
      {std::string("\x0a\xff\xff\xff\xff\x0f", 6), "past the end"},
      {std::string("\x0b\x00", 2), "wire type"},
      {std::string("\x00\x00", 2), "no number"},
      {std::string(11, '\xff'), "64 bits"},
      {std::string("\x0d\x01", 2), "inside a number"},
      {piece, "type 9"},
      {std::string("\x12\x02\x18\x03", 4), "type 3"},
      {std::string("\x12\x03\xc0\x01\x01", 5), "behind words"},
      {std::string("\x1a\x02\x28\x00", 4), "escape_whitespaces"},
  };
  for (const Refusal& one : cases) {
    const auto spec = Read(one.bytes);
    ASSERT_FALSE(spec.ok()) << one.message;
    EXPECT_NE(spec.status().message().find(one.message), std::string::npos)
        << spec.status().message();
  }
}

}  // namespace
}  // namespace bramble::model::text
