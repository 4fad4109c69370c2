#include "model/codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "model/files/json.h"
#include "tests/model/files/file_helpers.h"

namespace bramble::model {
namespace {

using files::Metadata;
using files::MetaValue;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Metadata Texts(std::initializer_list<std::pair<const char*, MetaValue>> entries) {
  Metadata metadata;
  for (const auto& [key, value] : entries)
    metadata.emplace("tokenizer.ggml." + std::string(key), value);
  return metadata;
}

MetaValue Text(const char* text) { return {std::string(text)}; }
MetaValue Whole(std::int64_t number) { return {number}; }
MetaValue List(std::vector<MetaValue> values) { return {std::move(values)}; }

TEST(GgufVocabulary, IsReadKeyByKey) {
  const auto spec =
      ReadGgufVocabulary(Texts({{"model", Text("llama")},
                                {"pre", Text("default")},
                                {"tokens", List({Text("<unk>"), Text("a"), Text("<0x41>")})},
                                {"scores", List({{0.0}, {-1.5}, Whole(-2)})},
                                {"token_type", List({Whole(2), Whole(0), Whole(6)})},
                                {"merges", List({Text("a b")})},
                                {"precompiled_charsmap", List({Whole(-1), Whole(65)})},
                                {"add_space_prefix", {false}},
                                {"add_bos_token", {true}},
                                {"bos_token_id", Whole(1)},
                                {"eos_token_id", Whole(2)},
                                {"unknown_token_id", Whole(0)},
                                {"eot_token_id", Whole(1)},
                                {"padding_token_id", Whole(-1)}}));
  ASSERT_TRUE(spec.ok()) << spec.status().message();
  EXPECT_TRUE(spec->gguf);
  EXPECT_EQ(spec->kind, text::VocabularyKind::kSentencePieceBpe);
  EXPECT_EQ(spec->pre, "default");
  EXPECT_THAT(spec->tokens, ElementsAre("<unk>", "a", "<0x41>"));
  EXPECT_THAT(spec->scores, ElementsAre(0, -1.5f, -2));
  EXPECT_THAT(spec->types, ElementsAre(text::TokenType::kUnknown, text::TokenType::kNormal,
                                       text::TokenType::kByte));
  EXPECT_THAT(spec->merges, ElementsAre("a b"));
  EXPECT_EQ(spec->charsmap,
            "\xff"
            "A");
  EXPECT_EQ(spec->add_space_prefix, false);
  EXPECT_EQ(spec->add_bos, true);
  EXPECT_FALSE(spec->add_eos);
  EXPECT_EQ(spec->bos, 1u);
  EXPECT_EQ(spec->eos, 2u);
  EXPECT_EQ(spec->unknown, 0u);
  EXPECT_EQ(spec->end_of_turn, 1u);
  EXPECT_FALSE(spec->padding);  // -1 says that there is none
}

TEST(GgufVocabulary, IsRefusedInWords) {
  const std::pair<Metadata, const char*> wrong[] = {
      {Texts({}), "the model has none"},
      {Texts({{"model", Text("no_vocab")}}), "the model has none"},
      {Texts({{"model", Text("rwkv")}}), "the kind 'rwkv' is not known"},
      {Texts({{"model", Text("gpt2")}, {"tokens", Whole(3)}}),
       "'tokenizer.ggml.tokens': a list of texts is needed"},
      {Texts({{"model", Text("gpt2")}, {"tokens", List({Whole(3)})}}), "a list of texts is needed"},
      {Texts({{"model", Text("gpt2")}, {"scores", List({Text("x")})}}),
       "'tokenizer.ggml.scores': a list of numbers"},
      {Texts({{"model", Text("gpt2")}, {"token_type", List({Whole(9)})}}), "types are 0 to 6"},
      {Texts({{"model", Text("gpt2")}, {"bos_token_id", Whole(1ll << 31)}}),
       "is 2147483648, which is no token's id"},
      {Texts({{"model", Text("gpt2")}, {"add_bos_token", Text("yes")}}), "must be a flag"},
      {Texts({{"model", Text("t5")}, {"precompiled_charsmap", List({Whole(300)})}}),
       "a value that is no byte"},
  };
  for (const auto& [metadata, message] : wrong) {
    EXPECT_THAT(ReadGgufVocabulary(metadata).status().message(), HasSubstr(message));
  }
}

constexpr char kTokenizerJson[] =
    R"({"added_tokens":[{"id":2,"content":"<s>","special":true},{"id":3,"content":"</s>","special":true},)"
    R"({"id":4,"content":"<turn>","special":true}],"normalizer":null,"pre_tokenizer":{"type":"ByteLevel",)"
    R"("add_prefix_space":false,"use_regex":true},"post_processor":null,"decoder":{"type":"ByteLevel"},)"
    R"("model":{"type":"BPE","vocab":{"a":0,"b":1},"merges":[]}})";

class HfCodec : public ::testing::Test {
 protected:
  files::ModelFiles Files(const char* config) {
    files::ModelFiles model = files::FilesOfHf(config, {});
    model.path = folder_.path();
    return model;
  }
  files::TemporaryFolder folder_;
};

TEST_F(HfCodec, TakesItsSpecialTokensFromTheFilesBeside) {
  folder_.Write("tokenizer.json", kTokenizerJson);
  folder_.Write("tokenizer_config.json",
                R"({"bos_token":"<s>","eos_token":{"content":"<turn>","special":true}})");
  folder_.Write("generation_config.json", R"({"eos_token_id":[3,4,99]})");
  const auto spec = ReadHfVocabulary(Files("{}"));
  ASSERT_TRUE(spec.ok()) << spec.status().message();
  EXPECT_EQ(spec->bos, 2u);
  EXPECT_EQ(spec->eos, 4u);
  EXPECT_EQ(spec->end_of_turn, 3u);
}

TEST_F(HfCodec, TakesThemFromConfigJsonOtherwise) {
  folder_.Write("tokenizer.json", kTokenizerJson);
  const auto spec = ReadHfVocabulary(Files(R"({"bos_token_id":2,"eos_token_id":[3,4]})"));
  ASSERT_TRUE(spec.ok()) << spec.status().message();
  EXPECT_EQ(spec->bos, 2u);
  EXPECT_EQ(spec->eos, 3u);
}

TEST_F(HfCodec, FindsTheTemplateInItsFileOrInTheSettings) {
  const files::ModelFiles model = Files("{}");
  EXPECT_EQ(*ReadHfTemplate(model), "");
  folder_.Write("tokenizer_config.json", R"({"chat_template":"{{ 1 }}"})");
  EXPECT_EQ(*ReadHfTemplate(model), "{{ 1 }}");
  folder_.Write("chat_template.jinja", "{{ 2 }}");
  EXPECT_EQ(*ReadHfTemplate(model), "{{ 2 }}");
}

TEST_F(HfCodec, SaysWhatIsMissing) {
  const files::ModelFiles model = Files("{}");
  EXPECT_THAT(ReadHfVocabulary(model).status().message(),
              HasSubstr("neither tokenizer.json nor tokenizer.model"));
  folder_.Write("tokenizer.json", "{");
  EXPECT_THAT(ReadHfVocabulary(model).status().message(), HasSubstr("tokenizer.json: "));
  const Codec codec = ReadCodec(model, 0);
  EXPECT_EQ(codec.tokenizer, nullptr);
  ASSERT_EQ(codec.notes.size(), 2u);
}

TEST_F(HfCodec, RefusesATokenizerWithMoreTokensThanTheTableHasRows) {
  folder_.Write("tokenizer.json", kTokenizerJson);
  const Codec codec = ReadCodec(Files("{}"), 4);
  EXPECT_EQ(codec.tokenizer, nullptr);
  EXPECT_THAT(codec.notes.front(), HasSubstr("it has 5 tokens, and the embedding table 4 rows"));
}

}  // namespace
}  // namespace bramble::model
