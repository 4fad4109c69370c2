#include <gtest/gtest.h>

#include <string>

#include "model/text/tokenizer.h"
#include "text_helpers.h"

namespace bramble::model::text {
namespace {

using Json = nlohmann::ordered_json;
using Ids = std::vector<std::uint32_t>;

// A small tokenizer.json of SentencePiece's kind (Llama 2 and its like): merges, byte fallback,
// U+2581.
Json LlamaLike() {
  Json vocab = {{"<unk>", 0}, {"<s>", 1}, {"</s>", 2},    {"\u2581", 3},
                {"a", 4},     {"b", 5},   {"\u2581a", 6}, {"\u2581ab", 7}};
  for (int byte = 0; byte < 256; ++byte) {
    char name[8];
    std::snprintf(name, sizeof name, "<0x%02X>", static_cast<unsigned>(byte));
    vocab[name] = 8 + byte;
  }
  const auto added = [](int id, const char* content) {
    return Json{{"id", id}, {"content", content}, {"special", true}};
  };
  return {{"added_tokens", {added(0, "<unk>"), added(1, "<s>"), added(2, "</s>")}},
          {"normalizer",
           {{"type", "Sequence"},
            {"normalizers",
             {{{"type", "Prepend"}, {"prepend", "\u2581"}},
              {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "\u2581"}}}}}},
          {"model",
           {{"type", "BPE"},
            {"unk_token", "<unk>"},
            {"byte_fallback", true},
            {"vocab", vocab},
            {"merges", Json::array({"\u2581 a", "\u2581a b"})}}}};
}

std::unique_ptr<Tokenizer> Made(const Json& json) {
  auto spec = ReadTokenizerJson(json.dump());
  EXPECT_TRUE(spec.ok()) << spec.status().message();
  return spec.ok() ? MakeOrFail(*std::move(spec)) : nullptr;
}

TEST(TokenizerJson, ReadsSentencePieceAsMerges) {
  const auto tokenizer = Made(LlamaLike());
  EXPECT_EQ(*tokenizer->Encode("ab", Specials::kAsText), (Ids{7}));
  EXPECT_EQ(*tokenizer->Encode("ab ab", Specials::kAsText), (Ids{7, 7}));
  EXPECT_EQ(*tokenizer->Encode("b\xc3\xa9", Specials::kAsText), (Ids{3, 5, 8 + 0xc3, 8 + 0xa9}));
  EXPECT_EQ(*tokenizer->Encode("<s>ab", Specials::kParse), (Ids{1, 7}));
  EXPECT_EQ(tokenizer->Decode(Ids{7, 7}), "ab ab");
}

TEST(TokenizerJson, PutsTheSpaceOnlyInFrontOfTheFirstText) {
  Json json = LlamaLike();
  json["normalizer"] = nullptr;
  json["pre_tokenizer"] = {{"type", "Metaspace"},
                           {"replacement", "\u2581"},
                           {"prepend_scheme", "first"},
                           {"split", false}};
  const auto tokenizer = Made(json);
  EXPECT_EQ(*tokenizer->Encode("ab<s>ab", Specials::kParse), (Ids{7, 1, 4, 5}));
  EXPECT_EQ(*tokenizer->Encode(" ab", Specials::kParse), (Ids{7}))
      << "a space that is there is enough";
}

TEST(TokenizerJson, ReadsMergesInBothForms) {
  Json json = LlamaLike();
  json["model"]["merges"] =
      Json::array({Json::array({"\u2581", "a"}), Json::array({"\u2581a", "b"})});
  EXPECT_EQ(*Made(json)->Encode("ab", Specials::kAsText), (Ids{7}));
}

TEST(TokenizerJson, ReadsThePostProcessorsOfBertAndRoberta) {
  Json json = LlamaLike();
  json["post_processor"] = {
      {"type", "RobertaProcessing"}, {"cls", {"<s>", 1}}, {"sep", {"</s>", 2}}};
  EXPECT_EQ(*Made(json)->EncodePrompt("ab", Specials::kAsText), (Ids{1, 7, 2}));
}

TEST(TokenizerJson, TakesTheFlagsOfAddedTokens) {
  Json json = LlamaLike();
  json["added_tokens"].push_back(
      {{"id", 264}, {"content", "<mask>"}, {"special", true}, {"lstrip", true}});
  EXPECT_EQ(*Made(json)->Encode("ab <mask>", Specials::kParse), (Ids{7, 264}));
}

struct Refusal {
  const char* what;
  void (*change)(Json&);
  const char* message;
};

TEST(TokenizerJson, NamesWhatItCannotDo) {
  const Refusal cases[] = {
      {"no model", [](Json& j) { j.erase("model"); }, "no model"},
      {"a model type", [](Json& j) { j["model"]["type"] = "WordLevel"; }, "'WordLevel'"},
      {"a vocabulary", [](Json& j) { j["model"]["vocab"] = 3; }, "vocab is not an object"},
      {"an id", [](Json& j) { j["model"]["vocab"]["a"] = -1; }, "'a' is not a number"},
      {"a huge id", [](Json& j) { j["model"]["vocab"]["a"] = 4000000; }, "'a' is 4000000"},
      {"an id twice", [](Json& j) { j["model"]["vocab"]["a"] = 5; }, "the same id 5"},
      {"a merge", [](Json& j) { j["model"]["merges"].push_back(7); }, "merge 2"},
      {"a suffix", [](Json& j) { j["model"]["end_of_word_suffix"] = "</w>"; },
       "end_of_word_suffix"},
      {"a normalizer",
       [](Json& j) {
         j["normalizer"] = {{"type", "Nmt"}};
       },
       "Nmt"},
      {"a replacement",
       [](Json& j) {
         j["normalizer"] = {{"type", "Replace"}, {"pattern", {{"String", "a"}}}, {"content", "aa"}};
       },
       "Replace"},
      {"a pre-tokenizer",
       [](Json& j) {
         j["pre_tokenizer"] = {{"type", "UnicodeScripts"}};
       },
       "UnicodeScripts"},
      {"a behavior",
       [](Json& j) {
         j["pre_tokenizer"] = {
             {"type", "Split"}, {"pattern", {{"Regex", "a"}}}, {"behavior", "MergedWithNext"}};
       },
       "MergedWithNext"},
      {"a post-processor",
       [](Json& j) {
         j["post_processor"] = {{"type", "Other"}};
       },
       "Other"},
      {"a charsmap",
       [](Json& j) {
         j["normalizer"] = {{"type", "Precompiled"}, {"precompiled_charsmap", "!!"}};
       },
       "base64"},
      {"nested too long",
       [](Json& j) {
         Json sequence = {{"type", "Sequence"}, {"normalizers", Json::array()}};
         for (int i = 0; i < 300; ++i) sequence["normalizers"].push_back({{"type", "NFC"}});
         j["normalizer"] = sequence;
       },
       "at most 256"},
      {"an added token",
       [](Json& j) {
         j["added_tokens"].push_back({{"id", 3}});
       },
       "added_tokens[3]"},
  };
  for (const Refusal& one : cases) {
    Json json = LlamaLike();
    one.change(json);
    const auto spec = ReadTokenizerJson(json.dump());
    ASSERT_FALSE(spec.ok()) << one.what;
    EXPECT_NE(spec.status().message().find(one.message), std::string::npos)
        << one.what << ": " << spec.status().message();
  }
}

TEST(TokenizerJson, RefusesWhatIsNotJson) {
  for (const std::string text : {"", "{", "[]", "{\"model\": \"\xff\"}", "null"}) {
    EXPECT_FALSE(ReadTokenizerJson(text).ok()) << text;
  }
  std::string deep(100000, '[');
  EXPECT_FALSE(ReadTokenizerJson(deep).ok());
}

// Padding and truncation are not ours: a hostile length in them costs nothing.
TEST(TokenizerJson, IgnoresPadding) {
  Json json = LlamaLike();
  json["padding"] = {{"strategy", {{"Fixed", 1099511627776}}}, {"pad_id", 0}};
  EXPECT_EQ(*Made(json)->Encode("ab", Specials::kAsText), (Ids{7}));
}

}  // namespace
}  // namespace bramble::model::text
