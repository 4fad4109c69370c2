#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "model/text/stream_decoder.h"
#include "model/text/tokenizer.h"
#include "text_helpers.h"

// Every tokenizer of tests/golden/tokenizers against the ids, texts and pieces that the reference
// libraries gave.
namespace bramble::model::text {
namespace {

using Json = nlohmann::ordered_json;
using Ids = std::vector<std::uint32_t>;

struct Golden {
  const char* expected;  // expected/NAME.json
  const char* file;      // of tests/golden/tokenizers, or of BRAMBLE_MODELS where `is_model`
  bool is_model = false;

  // Named in the list of tests.
  friend void PrintTo(const Golden& golden, std::ostream* out) { *out << golden.file; }
};

constexpr Golden kGoldens[] = {
    {"bpe-gpt2", "small/bpe-gpt2.gguf"},
    {"bpe-gpt2", "small/bpe-gpt2.tokenizer.json"},
    {"bpe-llama3", "small/bpe-llama3.gguf"},
    {"bpe-llama3", "small/bpe-llama3.tokenizer.json"},
    {"bpe-qwen2", "small/bpe-qwen2.tokenizer.json"},
    {"bpe-qwen2-gguf", "small/bpe-qwen2.gguf"},
    {"bpe-deepseek-v3", "small/bpe-deepseek-v3.gguf"},
    {"bpe-deepseek-v3", "small/bpe-deepseek-v3.tokenizer.json"},
    {"spm-bpe", "small/spm-bpe.gguf"},
    {"spm-bpe", "small/spm-bpe.model"},
    {"spm-unigram", "small/spm-unigram.model"},
    {"t5-unigram", "small/t5-unigram.gguf"},
    {"t5-unigram", "small/t5-unigram.model"},
    {"wordpiece", "small/wordpiece.gguf"},
    {"wordpiece", "small/wordpiece.tokenizer.json"},
    {"gpt-2", "vocab/ggml-vocab-gpt-2.gguf"},
    {"deepseek-coder", "vocab/ggml-vocab-deepseek-coder.gguf"},
    {"llama-spm", "vocab/ggml-vocab-llama-spm.gguf"},
    {"minilm", "all-minilm-l6-v2/tokenizer.json", true},
    {"smollm2", "smollm2-135m-instruct-q4_1.gguf", true},
    {"gemma3", "gemma-3-270m-q4_k_m.gguf", true},
    {"llama-bpe", "ggml-vocab-llama-bpe.gguf", true},
    {"qwen2", "ggml-vocab-qwen2.gguf", true},
};

class EveryTokenizer : public testing::TestWithParam<Golden> {
 protected:
  void SetUp() override {
    const Golden& golden = GetParam();
    strings_ = GoldenJson("tokenizers/strings.json");
    expected_ = GoldenJson(std::string("tokenizers/expected/") + golden.expected + ".json");
    if (!golden.is_model) {
      tokenizer_ = GoldenTokenizer(golden.file);
      ASSERT_NE(tokenizer_, nullptr);
      return;
    }
    const std::string path = ModelPath(golden.file);
    if (path.empty()) GTEST_SKIP() << golden.file << " is not in BRAMBLE_MODELS";
    auto spec = SpecOfFile(path);
    ASSERT_TRUE(spec.ok()) << spec.status().message();
    auto made = MakeTokenizer(*std::move(spec));
    ASSERT_TRUE(made.ok()) << made.status().message();
    tokenizer_ = *std::move(made);
  }

  std::string String(std::size_t index) const { return strings_[index].get<std::string>(); }
  std::string Place(std::size_t index) const {
    return "string " + std::to_string(index) + " " + strings_[index].dump();
  }

  std::unique_ptr<Tokenizer> tokenizer_;
  Json strings_, expected_;

  void CheckIds() const;
  void CheckTexts() const;
  void CheckStreams(const char* key) const;
};

void EveryTokenizer::CheckIds() const {
  const Json& cases = expected_["cases"];
  ASSERT_EQ(cases.size(), strings_.size());
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const auto plain = tokenizer_->Encode(String(i), Specials::kAsText);
    ASSERT_TRUE(plain.ok()) << Place(i) << plain.status().message();
    EXPECT_EQ(*plain, cases[i]["ids"].get<Ids>()) << Place(i);
    const auto parsed = tokenizer_->Encode(String(i), Specials::kParse);
    ASSERT_TRUE(parsed.ok()) << Place(i) << parsed.status().message();
    const char* key = cases[i].contains("ids_special") ? "ids_special" : "ids";
    EXPECT_EQ(*parsed, cases[i][key].get<Ids>()) << Place(i);
  }
}

// What streams is what decodes as a whole, and both are what the reference gives.
void EveryTokenizer::CheckTexts() const {
  const std::string name = expected_["tokenizer"].get<std::string>();
  const bool forgets = name == "wordpiece" ||
                       name == "minilm";  // WordPiece: spaces and case, so there is no reference
  const Json& cases = expected_["cases"];
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const Ids ids = cases[i]["ids"].get<Ids>();
    StreamDecoder decoder(*tokenizer_, StreamDecoder::Start::kText);
    std::string streamed;
    for (const auto id : ids) streamed += decoder.Add(id);
    EXPECT_EQ(streamed + decoder.Finish(), tokenizer_->Decode(ids)) << Place(i);
    const std::string text =
        cases[i].contains("text") ? cases[i]["text"].get<std::string>() : String(i);
    EXPECT_TRUE(forgets || tokenizer_->Decode(ids) == text)
        << Place(i) << " gives " << tokenizer_->Decode(ids);
  }
}

// "stream": pieces of the strings; "stream_invalid": of bytes that are not UTF-8.
void EveryTokenizer::CheckStreams(const char* key) const {
  if (!expected_.contains(key)) return;
  for (const Json& stream : expected_[key]) {
    const bool has_ids = stream.contains("ids");
    const Json& ids =
        has_ids ? stream["ids"] : expected_["cases"][stream["string"].get<std::size_t>()]["ids"];
    StreamDecoder decoder(*tokenizer_, StreamDecoder::Start::kText);
    std::vector<std::string> pieces;
    for (const auto id : ids.get<Ids>()) pieces.push_back(decoder.Add(id));
    EXPECT_EQ(pieces, stream["pieces"].get<std::vector<std::string>>()) << stream.dump();
    EXPECT_EQ(decoder.Finish(), stream.contains("tail") ? stream["tail"].get<std::string>() : "")
        << stream.dump();
  }
}

TEST_P(EveryTokenizer, GivesWhatTheReferenceGives) {
  CheckIds();
  CheckTexts();
  CheckStreams("stream");
  CheckStreams("stream_invalid");
}

INSTANTIATE_TEST_SUITE_P(Golden, EveryTokenizer, testing::ValuesIn(kGoldens),
                         [](const auto& golden) {
                           std::string name = golden.param.file;
                           for (char& c : name) {
                             if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
                           }
                           return name;
                         });

}  // namespace
}  // namespace bramble::model::text
