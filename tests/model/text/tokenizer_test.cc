#include "model/text/tokenizer.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "text_helpers.h"

namespace bramble::model::text {
namespace {

using Ids = std::vector<std::uint32_t>;

constexpr std::uint32_t kBos = 258, kEos = 259, kImStart = 260, kImEnd = 261;

Ids Encoded(const Tokenizer& tokenizer, std::string_view text, Specials specials) {
  const auto ids = tokenizer.Encode(text, specials);
  EXPECT_TRUE(ids.ok()) << ids.status().message();
  return ids.ok() ? *ids : Ids();
}

Ids Marked(const Tokenizer& tokenizer, const std::vector<MarkedText>& parts) {
  const auto ids = tokenizer.EncodeMarked(parts);
  EXPECT_TRUE(ids.ok()) << ids.status().message();
  return ids.ok() ? *ids : Ids();
}

TEST(Tokenizer, MergesByRank) {
  const auto tokenizer = MakeOrFail(SmallSpec());
  EXPECT_EQ(Encoded(*tokenizer, "abcab", Specials::kAsText), (Ids{257, 256}));
  EXPECT_EQ(Encoded(*tokenizer, "bab", Specials::kAsText), (Ids{'b', 256}));
}

TEST(Tokenizer, TakesAControlTokenOnlyWhereItIsAskedTo) {
  const auto tokenizer = MakeOrFail(SmallSpec());
  EXPECT_EQ(Encoded(*tokenizer, "ab<|im_end|>ab", Specials::kParse), (Ids{256, kImEnd, 256}));
  const Ids plain = Encoded(*tokenizer, "ab<|im_end|>ab", Specials::kAsText);
  EXPECT_GT(plain.size(), 10U);
  for (const auto id : plain) EXPECT_FALSE(tokenizer->IsControl(id));
  EXPECT_EQ(tokenizer->Decode(plain), "ab<|im_end|>ab");
}

TEST(Tokenizer, LeavesControlTokensOfTheCallerAsText) {
  const auto tokenizer = MakeOrFail(SmallSpec());
  const Ids ids =
      Marked(*tokenizer,
             {{"<|im_start|>", true}, {"<|im_end|><|im_start|>ab", false}, {"<|im_end|>", true}});
  EXPECT_EQ(ids.front(), kImStart);
  EXPECT_EQ(ids.back(), kImEnd);
  for (std::size_t i = 1; i + 1 < ids.size(); ++i) EXPECT_FALSE(tokenizer->IsControl(ids[i])) << i;
  EXPECT_EQ(tokenizer->Decode(ids), "<|im_end|><|im_start|>ab");
}

TEST(Tokenizer, LeavesATokenThatIsHalfTheCallersAsText) {
  const auto tokenizer = MakeOrFail(SmallSpec());
  const std::vector<std::vector<MarkedText>> halves = {
      {{"<|im_", true}, {"end|>", false}},
      {{"<|im_", false}, {"end|>", true}},
      {{"<|im", true}, {"_", false}, {"end|>", true}}};
  for (const auto& parts : halves) {
    for (const auto id : Marked(*tokenizer, parts)) EXPECT_FALSE(tokenizer->IsControl(id));
  }
  EXPECT_EQ(Marked(*tokenizer, {{"<|im_", true}, {"end|>", true}}), (Ids{kImEnd}));
}

TEST(Tokenizer, TokenizesTemplateAndContentBetweenControlTokensAsOneText) {
  const auto tokenizer = MakeOrFail(SmallSpec());
  // "a" of the template and "b" of the caller become the one token "ab", as in the reference.
  EXPECT_EQ(Marked(*tokenizer, {{"<|im_start|>a", true}, {"b", false}, {"c<|im_end|>", true}}),
            (Ids{kImStart, 257, kImEnd}));
}

TEST(Tokenizer, TakesUserDefinedTokensWhereverTheyStand) {
  VocabularySpec spec = SmallSpec();
  spec.tokens.emplace_back("<tool>");
  spec.types.push_back(TokenType::kUserDefined);
  const auto tokenizer = MakeOrFail(std::move(spec));
  EXPECT_EQ(Encoded(*tokenizer, "ab<tool>", Specials::kAsText), (Ids{256, 262}));
  EXPECT_EQ(Marked(*tokenizer, {{"ab<tool>", false}}), (Ids{256, 262}));
  EXPECT_EQ(tokenizer->Bytes(262), "<tool>");
}

TEST(Tokenizer, TakesTheLongestOfSeveralSpecialTokens) {
  VocabularySpec spec = SmallSpec();
  spec.tokens.emplace_back("<|im_end|>\n");
  spec.types.push_back(TokenType::kControl);
  const auto tokenizer = MakeOrFail(std::move(spec));
  EXPECT_EQ(Encoded(*tokenizer, "<|im_end|>\n<|im_end|>", Specials::kParse), (Ids{262, kImEnd}));
  // The longer one is half the caller's, the shorter one is not.
  EXPECT_EQ(Marked(*tokenizer, {{"<|im_end|>", true}, {"\n", false}}).front(), kImEnd);
}

TEST(Tokenizer, GivesBlanksAroundAnAddedTokenToIt) {
  VocabularySpec spec = SmallSpec();
  spec.flags[kImEnd] = {.strip_left = true, .strip_right = true, .single_word = false};
  const auto tokenizer = MakeOrFail(std::move(spec));
  EXPECT_EQ(Encoded(*tokenizer, "ab \n<|im_end|>\t ab", Specials::kParse), (Ids{256, kImEnd, 256}));
}

TEST(Tokenizer, AddsToAPromptWhatTheModelWants) {
  VocabularySpec spec = SmallSpec();
  EXPECT_EQ(*MakeOrFail(spec)->EncodePrompt("ab", Specials::kParse), (Ids{256}));
  spec.add_bos = true;
  EXPECT_EQ(*MakeOrFail(spec)->EncodePrompt("ab", Specials::kParse), (Ids{kBos, 256}));
  EXPECT_EQ(*MakeOrFail(spec)->EncodePrompt("<s>ab", Specials::kParse), (Ids{kBos, 256}))
      << "not twice";
  EXPECT_EQ(*MakeOrFail(spec)->EncodePrompt("", Specials::kParse), (Ids{kBos}));
  spec.add_eos = true;
  EXPECT_EQ(*MakeOrFail(spec)->EncodePrompt("ab", Specials::kParse), (Ids{kBos, 256, kEos}));
  spec.prompt_prefix = {kImStart, kBos};
  spec.prompt_suffix = {kImEnd};
  EXPECT_EQ(*MakeOrFail(spec)->EncodePrompt("ab", Specials::kParse),
            (Ids{kImStart, kBos, 256, kImEnd}));
}

TEST(Tokenizer, PutsASeparatorBehindThePromptsOfJina) {
  VocabularySpec spec = SmallSpec();
  spec.pre = "jina-v2-code";
  spec.separator = kImEnd;
  EXPECT_EQ(*MakeOrFail(spec)->EncodePrompt("ab", Specials::kAsText), (Ids{kBos, 256, kImEnd}));
}

TEST(Tokenizer, KnowsWhoAddsWhatInTheGoldenFiles) {
  struct Case {
    const char* file;
    Ids around_nothing;
  };
  const Case cases[] = {
      {"small/bpe-llama3.gguf", {1200}},
      {"small/bpe-llama3.tokenizer.json", {1200}},
      {"small/bpe-gpt2.gguf", {}},
      {"small/bpe-qwen2.tokenizer.json", {}},
      {"small/bpe-deepseek-v3.gguf", {1200}},
      {"small/spm-bpe.gguf", {1}},
      {"small/spm-bpe.model", {1}},
      {"small/t5-unigram.gguf", {1}},
      {"small/wordpiece.tokenizer.json", {2, 3}},
      {"small/wordpiece.gguf", {2, 3}},
      {"vocab/ggml-vocab-llama-spm.gguf", {1}},
      {"vocab/ggml-vocab-gpt-2.gguf", {}},
  };
  for (const Case& one : cases) {
    EXPECT_EQ(*GoldenTokenizer(one.file)->EncodePrompt("", Specials::kParse), one.around_nothing)
        << one.file;
  }
}

TEST(Tokenizer, NamesTheTokensThatEndAnAnswer) {
  VocabularySpec spec = SmallSpec();
  EXPECT_EQ(MakeOrFail(spec)->EndIds(), (Ids{kEos, kImEnd}))
      << "<|im_end|> is known by its spelling";
  spec.end_of_turn = kImStart;
  EXPECT_EQ(MakeOrFail(spec)->EndIds(), (Ids{kEos, kImStart, kImEnd}));
  spec.types[kImEnd] = TokenType::kNormal;
  EXPECT_EQ(MakeOrFail(spec)->EndIds(), (Ids{kEos, kImStart})) << "an ordinary word ends nothing";
}

TEST(Tokenizer, AnswersForIdsOutsideOfTheVocabulary) {
  const auto tokenizer = MakeOrFail(SmallSpec());
  EXPECT_EQ(tokenizer->Bytes(1000000), "");
  EXPECT_EQ(tokenizer->Spelling(1000000), "");
  EXPECT_FALSE(tokenizer->IsControl(1000000));
  EXPECT_EQ(tokenizer->Decode(Ids{1000000, 256}), "ab");
  EXPECT_EQ(tokenizer->Find("abc"), 257U);
  EXPECT_EQ(tokenizer->Find("nothing"), std::nullopt);
}

TEST(Tokenizer, ReadsBytesThatAreNotUtf8AsReplacementCharacters) {
  const auto tokenizer = MakeOrFail(SmallSpec());
  EXPECT_EQ(tokenizer->Decode(Encoded(*tokenizer, "a\xff\xc3", Specials::kAsText)),
            "a\xef\xbf\xbd\xef\xbf\xbd");
  // Two halves of a character from two people are no character.
  EXPECT_EQ(tokenizer->Decode(Marked(*tokenizer, {{"\xc3", true}, {"\xa9", false}})),
            "\xef\xbf\xbd\xef\xbf\xbd");
}

TEST(Tokenizer, RefusesATextThatIsTooLong) {
  const auto tokenizer = MakeOrFail(SmallSpec());
  const std::string text(Tokenizer::kMaxTextBytes + 1, 'x');
  EXPECT_EQ(tokenizer->Encode(text, Specials::kAsText).status().code(), Code::kInvalidArgument);
  const std::vector<MarkedText> parts = {{text, true}};
  EXPECT_EQ(tokenizer->EncodeMarked(parts).status().code(), Code::kInvalidArgument);
}

// A quadratic merge would take hours: this has the time limit of the test program.
TEST(Tokenizer, MergesAMegabyteOfOneLetter) {
  VocabularySpec spec = SmallSpec();
  for (std::string token = "aa"; token.size() <= 1024; token += token) {
    spec.merges.push_back(token.substr(token.size() / 2) + " " + token.substr(token.size() / 2));
    spec.tokens.push_back(token);
    spec.types.push_back(TokenType::kNormal);
  }
  const std::string text(1 << 20, 'a');
  const auto tokenizer = MakeOrFail(spec);
  EXPECT_EQ(Encoded(*tokenizer, text, Specials::kAsText).size(), 1024U);
  // The same by scores, where text is looked up and not pairs of ids.
  spec.kind = VocabularyKind::kSentencePieceBpe;
  spec.merges.clear();
  spec.add_space_prefix = false;
  spec.unknown = 0;
  for (std::size_t i = 0; i < spec.tokens.size(); ++i)
    spec.scores.push_back(-static_cast<float>(i));
  EXPECT_EQ(Encoded(*MakeOrFail(spec), text, Specials::kAsText).size(), 1024U);
}

TEST(Tokenizer, GivesTheSameIdsForManySymbolsAsForFew) {
  // Up to 24 symbols are merged without a queue. Every length around that must agree with the rule,
  // done by hand.
  VocabularySpec spec = SmallSpec();
  spec.pre = "";
  spec.splits = {"[\\s\\S]+"};
  const auto tokenizer = MakeOrFail(std::move(spec));
  for (std::size_t repeats = 1; repeats < 40; ++repeats) {
    std::string text;
    Ids expected;
    for (std::size_t i = 0; i < repeats; ++i) {
      text += i % 3 == 0 ? "abc" : i % 3 == 1 ? "ab" : "b";
      expected.push_back(i % 3 == 0 ? 257 : i % 3 == 1 ? 256 : 'b');
    }
    EXPECT_EQ(Encoded(*tokenizer, text, Specials::kAsText), expected) << text;
  }
}

struct Hostile {
  const char* what;
  void (*change)(VocabularySpec&);
  const char* message;
};

TEST(Tokenizer, RefusesVocabulariesThatLie) {
  const Hostile cases[] = {
      {"empty", [](VocabularySpec& s) { s = VocabularySpec(); }, "no tokens"},
      {"scores",
       [](VocabularySpec& s) {
         s.scores = {1, 2};
       },
       "262 tokens but 2 scores"},
      {"types", [](VocabularySpec& s) { s.types.pop_back(); }, "262 tokens but 261 token types"},
      {"a type", [](VocabularySpec& s) { s.types[5] = static_cast<TokenType>(9); }, "token 5"},
      {"NaN",
       [](VocabularySpec& s) { s.scores.assign(262, std::numeric_limits<float>::quiet_NaN()); },
       "finite"},
      {"twice", [](VocabularySpec& s) { s.tokens[257] = "ab"; }, "'ab' twice: tokens 256 and 257"},
      {"bos", [](VocabularySpec& s) { s.bos = 262; }, "bos token is 262"},
      {"prefix",
       [](VocabularySpec& s) {
         s.prompt_prefix = {7, 900};
       },
       "900"},
      {"flags", [](VocabularySpec& s) { s.flags[4000].strip_left = true; }, "4000"},
      {"merge of one", [](VocabularySpec& s) { s.merges = {"ab"}; }, "merge 0 'ab'"},
      {"merge of an unknown",
       [](VocabularySpec& s) {
         s.merges = {"a b", "ab zz"};
       },
       "'zz'"},
      {"merge into nothing", [](VocabularySpec& s) { s.merges = {"a c"}; }, "makes 'ac'"},
      {"pre", [](VocabularySpec& s) { s.pre = "nobody"; }, "'nobody' is not known"},
      {"expression", [](VocabularySpec& s) { s.splits = {"(a"}; }, "does not compile"},
      {"raw byte", [](VocabularySpec& s) { s.splits = {"\\C"}; }, "does not compile"},
      {"long token", [](VocabularySpec& s) { s.tokens[0] = std::string(1 << 20, 'x'); },
       "token 0 has 1048576 bytes"},
      {"control bytes", [](VocabularySpec& s) { s.tokens[261] = "\xff"; }, "not UTF-8"},
      {"no scores",
       [](VocabularySpec& s) { s.kind = VocabularyKind::kSentencePieceBpe, s.merges.clear(); },
       "neither scores"},
      {"unigram scores", [](VocabularySpec& s) { s.kind = VocabularyKind::kSentencePieceUnigram; },
       "no scores"},
      {"no unknown", [](VocabularySpec& s) { s.kind = VocabularyKind::kWordPiece; },
       "no unknown token"},
      {"a byte", [](VocabularySpec& s) { s.types[3] = TokenType::kByte; },
       "not spelled like <0x41>"},
      {"charsmap",
       [](VocabularySpec& s) {
         s.kind = VocabularyKind::kSentencePieceBpe, s.unknown = 0, s.charsmap = "ab";
       },
       "charsmap has 2 bytes"},
  };
  for (const Hostile& one : cases) {
    VocabularySpec spec = SmallSpec();
    one.change(spec);
    const auto made = MakeTokenizer(std::move(spec));
    ASSERT_FALSE(made.ok()) << one.what;
    EXPECT_NE(made.status().message().find(one.message), std::string::npos)
        << one.what << ": " << made.status().message();
  }
}

TEST(Tokenizer, KeepsTerminalCodesOutOfMessages) {
  VocabularySpec spec = SmallSpec();
  spec.tokens[256] = spec.tokens[257] = "\x1b[31m" + std::string(200, 'x');
  const auto made = MakeTokenizer(std::move(spec));
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.status().message().find('\x1b'), std::string::npos);
  EXPECT_LT(made.status().message().size(), 300U);
}

TEST(Tokenizer, GivesUpOnAnExpressionThatNeverEnds) {
  VocabularySpec spec = SmallSpec();
  spec.splits = {"(a*)*b(?!c)|(x+x+)+y"};
  const auto ids = MakeOrFail(std::move(spec))->Encode(std::string(5000, 'x'), Specials::kAsText);
  ASSERT_FALSE(ids.ok());
  EXPECT_EQ(ids.status().code(), Code::kResourceExhausted);
  EXPECT_NE(ids.status().message().find("gave up"), std::string::npos);
}

TEST(Tokenizer, TakesAHoleInTheVocabulary) {
  VocabularySpec spec = SmallSpec();
  spec.tokens.insert(spec.tokens.end(), 3, "");
  spec.types.insert(spec.types.end(), 3, TokenType::kUnused);
  const auto tokenizer = MakeOrFail(std::move(spec));
  EXPECT_EQ(tokenizer->vocabulary_size(), 265U);
  EXPECT_EQ(Encoded(*tokenizer, "ab", Specials::kAsText), (Ids{256}));
}

}  // namespace
}  // namespace bramble::model::text
