#include "model/text/stream_decoder.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "model/text/utf8.h"
#include "text_helpers.h"

namespace bramble::model::text {
namespace {

constexpr const char* kBad = "\xef\xbf\xbd";

struct Utf8Case {
  std::string bytes;
  std::string text;
  std::string tail;  // what stays possible at the end
};

// The examples of the Unicode standard, chapter 3 (tables 3-8 to 3-11), and the ends of every range
// of table 3-7.
std::vector<Utf8Case> Utf8Cases() {
  const std::string bad = kBad;
  return {
      {"a\xc3\xa9\xe2\x82\xac\xf0\x9f\x99\x82", "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x99\x82", ""},
      {"\xc0\xaf\xe0\x80\xbf\xf0\x81\x82\x41", bad + bad + bad + bad + bad + bad + bad + bad + "A",
       ""},
      {"\xed\xa0\x80\xed\xbf\xbf\xed\xaf\x41", bad + bad + bad + bad + bad + bad + bad + bad + "A",
       ""},
      {"\xf4\x91\x92\x93\xff\x41\x80\xbf\x42", bad + bad + bad + bad + bad + "A" + bad + bad + "B",
       ""},
      {"\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41", bad + bad + bad + bad + "A", ""},
      {"\xf4\x8f\xbf\xbf\xf4\x90\x80\x80", "\xf4\x8f\xbf\xbf" + bad + bad + bad + bad, ""},
      {"x\xf0\x9f\x99", "x", "\xf0\x9f\x99"},
      {"x\xe0\xa0", "x", "\xe0\xa0"},
      {"x\xe0\x9f", "x" + bad + bad, ""},
      {"x\xed\x9f", "x", "\xed\x9f"},
      {"x\xc2", "x", "\xc2"},
      {"x\xc1", "x" + bad, ""},
      {"x\xf5", "x" + bad, ""},
  };
}

TEST(Utf8, ReplacesEachMaximalIllFormedPart) {
  for (const Utf8Case& one : Utf8Cases()) {
    std::string tail;
    EXPECT_EQ(ReplaceInvalidUtf8(one.bytes, &tail), one.text);
    EXPECT_EQ(tail, one.tail);
    EXPECT_EQ(ReplaceInvalidUtf8(one.bytes), one.text + (one.tail.empty() ? "" : kBad));
  }
}

TEST(StreamDecoder, GivesTheSameTextHoweverTheBytesAreCut) {
  const auto tokenizer = MakeOrFail(SmallSpec());
  for (const Utf8Case& one : Utf8Cases()) {
    StreamDecoder decoder(*tokenizer);
    std::string text;
    for (const char byte : one.bytes) {
      const std::string piece = decoder.Add(static_cast<unsigned char>(byte));
      EXPECT_TRUE(IsUtf8(piece));
      text += piece;
    }
    EXPECT_EQ(text, one.text);
    EXPECT_EQ(decoder.Finish(), one.tail.empty() ? "" : kBad);
    EXPECT_EQ(decoder.Finish(), "") << "a second end has nothing left";
  }
}

TEST(StreamDecoder, ShowsNoControlTokens) {
  const auto tokenizer = MakeOrFail(SmallSpec());
  StreamDecoder decoder(*tokenizer);
  EXPECT_EQ(decoder.Add(260), "");
  EXPECT_EQ(decoder.Add(0xc3), "");
  EXPECT_EQ(decoder.Add(261), "") << "between two halves of a character";
  EXPECT_EQ(decoder.Add(0xa9), "\xc3\xa9");
}

TEST(StreamDecoder, KeepsTheSpaceOfAnAnswerThatGoesOnFromAPrompt) {
  const auto tokenizer = GoldenTokenizer("vocab/ggml-vocab-llama-spm.gguf");
  const auto ids = tokenizer->Encode("world", Specials::kAsText);
  ASSERT_TRUE(ids.ok());
  StreamDecoder going_on(*tokenizer, StreamDecoder::Start::kContinuation);
  StreamDecoder beginning(*tokenizer, StreamDecoder::Start::kText);
  std::string going_on_text;
  std::string beginning_text;
  for (const auto id : *ids) {
    going_on_text += going_on.Add(id);
    beginning_text += beginning.Add(id);
  }
  EXPECT_EQ(going_on_text, " world");
  EXPECT_EQ(beginning_text, "world");
}

}  // namespace
}  // namespace bramble::model::text
