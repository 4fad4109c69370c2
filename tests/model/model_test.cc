#include "model/model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/sha.h>

#include <array>
#include <filesystem>
#include <string>

#include "model/text/chat_template.h"
#include "model/text/tokenizer.h"
#include "tests/model/files/file_helpers.h"

namespace bramble::model {
namespace {

using files::GgufWriter;
using ::testing::Contains;
using ::testing::HasSubstr;

std::string Golden(const std::string& name) {
  return std::string(BRAMBLE_SOURCE_DIR) + "/tests/golden/models/" + name;
}

TEST(Model, FindsEveryWeightByItsHash) {
  for (const char* name : {"llama_sharded", "gpt2", "gemma3_text", "gguf_llama_q4_k_m"}) {
    const auto model = Model::Open(Golden(name), {});
    ASSERT_TRUE(model.ok()) << model.status().message();
    for (const v1::Weight& weight : (*model)->program().weights()) {
      const auto bytes = (*model)->WeightBytes(weight.sha256());
      ASSERT_TRUE(bytes.ok()) << weight.name();
      std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
      SHA256(reinterpret_cast<const unsigned char*>(bytes->data()), bytes->size(), digest.data());
      EXPECT_EQ(weight.sha256(), std::string(digest.begin(), digest.end())) << weight.name();
    }
  }
}

TEST(Model, HasNoWeightOfAnotherHash) {
  const auto model = Model::Open(Golden("llama_bias"), {});
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_EQ((*model)->WeightBytes(std::string(32, 'x')).status().code(), Code::kNotFound);
  EXPECT_EQ((*model)->WeightBytes("").status().code(), Code::kNotFound);
}

TEST(Model, CompilesToTheSameProgramFromOneFileAndFromShards) {
  // The same weights in other files have the same hashes: a worker that holds one holds the other.
  files::TemporaryFolder folder;
  std::filesystem::copy(Golden("llama_config_v5"), folder.Path("copy"));
  const auto one = Model::Open(Golden("llama_config_v5"), {});
  const auto other = Model::Open(folder.Path("copy") + "/model.safetensors", {});
  ASSERT_TRUE(one.ok()) << one.status().message();
  ASSERT_TRUE(other.ok()) << other.status().message();
  v1::Program a = (*one)->program();
  v1::Program b = (*other)->program();
  a.clear_name();
  b.clear_name();
  EXPECT_EQ(a.SerializeAsString(), b.SerializeAsString());
}

TEST(Model, TellsWhatTheFileSays) {
  const auto facts = Model::Inspect(Golden("gguf_llama_q4_k_m"));
  ASSERT_TRUE(facts.ok()) << facts.status().message();
  EXPECT_EQ(facts->container, "GGUF version 3");
  EXPECT_EQ(facts->family, "llama");
  EXPECT_EQ(facts->name, "gguf_llama_q4_k_m");
  EXPECT_EQ(facts->parameters, 312064u);
  EXPECT_EQ(facts->tensors, 11u);
  EXPECT_EQ(facts->bytes, 216128u);
  EXPECT_EQ(facts->context_length, 256u);
  EXPECT_EQ(facts->vocabulary_size, 256u);
  EXPECT_EQ(facts->layers, 1u);
  ASSERT_EQ(facts->encodings.size(), 4u);
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < facts->encodings.size(); ++i) {
    bytes += facts->encodings[i].bytes;
    if (i > 0) {
      EXPECT_GE(facts->encodings[i - 1].bytes, facts->encodings[i].bytes);
    }
  }
  EXPECT_EQ(bytes, facts->bytes);
  EXPECT_THAT(facts->notes, Contains("no tokenizer: the model has none"));
}

TEST(Model, TellsWhyThereIsNoProgram) {
  files::TemporaryFolder folder;
  const std::string path = folder.Write(
      "m.gguf", GgufWriter().String("general.architecture", "mamba").Zeros("t", {2}).Finish());
  const auto facts = Model::Inspect(path);
  ASSERT_TRUE(facts.ok()) << facts.status().message();
  EXPECT_EQ(facts->name, "m");
  EXPECT_THAT(facts->notes, Contains(HasSubstr("no program: models of the family 'mamba'")));
  EXPECT_THAT(Model::Open(path, {}).status().message(),
              HasSubstr(path + ": models of the family 'mamba'"));
}

// A GGUF llama whose vocabulary of three tokens is padded to five rows.
std::string PaddedModel() {
  GgufWriter w;
  w.String("general.architecture", "llama")
      .String("general.name", "pad\x1b[2Jded")
      .U32("llama.block_count", 1);
  w.U32("llama.context_length", 64)
      .U32("llama.embedding_length", 8)
      .U32("llama.feed_forward_length", 8);
  w.U32("llama.attention.head_count", 1).F32("llama.attention.layer_norm_rms_epsilon", 1e-5f);
  w.Zeros("token_embd.weight", {5, 8})
      .Zeros("output_norm.weight", {8})
      .Zeros("blk.0.attn_norm.weight", {8});
  for (const char* name :
       {"attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"}) {
    w.Zeros("blk.0." + std::string(name) + ".weight", {8, 8});
  }
  w.Zeros("blk.0.ffn_norm.weight", {8});
  const auto list = [](files::MetaType type, std::uint64_t count, const std::string& values) {
    return files::Raw(static_cast<std::uint32_t>(type)) + files::Raw(count) + values;
  };
  w.String("tokenizer.ggml.model", "gpt2").String("tokenizer.ggml.pre", "gpt-2");
  w.Key("tokenizer.ggml.tokens", files::MetaType::kArray,
        list(files::MetaType::kText, 3,
             GgufWriter::Text("a") + GgufWriter::Text("b") + GgufWriter::Text("<e>")));
  w.Key("tokenizer.ggml.token_type", files::MetaType::kArray,
        list(files::MetaType::kInt32, 3, files::Raw(1) + files::Raw(1) + files::Raw(3)));
  w.Key("tokenizer.ggml.merges", files::MetaType::kArray, list(files::MetaType::kText, 0, ""));
  w.U32("tokenizer.ggml.eos_token_id", 2)
      .String("tokenizer.chat_template", "{{ messages[0].content }}");
  return w.Finish();
}

TEST(Model, NeverDrawsThePaddingOfItsVocabulary) {
  files::TemporaryFolder folder;
  const auto model = Model::Open(folder.Write("m.gguf", PaddedModel()), {});
  ASSERT_TRUE(model.ok()) << model.status().message();
  const v1::Program& program = (*model)->program();
  EXPECT_EQ(program.vocabulary_size(), 5u);
  const v1::Block& head = program.blocks(program.blocks_size() - 1);
  EXPECT_EQ(head.operations(head.operations_size() - 1).sample().limit(), 3u);
}

TEST(Model, HasATokenizerAndATemplateIfTheFileHas) {
  files::TemporaryFolder folder;
  const auto model = Model::Open(folder.Write("m.gguf", PaddedModel()), {});
  ASSERT_TRUE(model.ok()) << model.status().message();
  ASSERT_NE((*model)->tokenizer(), nullptr);
  EXPECT_EQ((*model)->tokenizer()->Find("b"), 1u);
  EXPECT_EQ((*model)->tokenizer()->eos(), 2u);
  EXPECT_NE((*model)->chat_template(), nullptr);
  EXPECT_EQ((*model)->facts().tokenizer, "byte-level BPE, 3 tokens");
  EXPECT_TRUE((*model)->facts().chat_template);
  EXPECT_EQ((*model)->facts().name, "pad\\x1b[2Jded");
}

TEST(Model, RefusesAFileThatIsNone) {
  EXPECT_EQ(Model::Open(Golden("nothing"), {}).status().code(), Code::kNotFound);
  EXPECT_FALSE(Model::Open(std::string(BRAMBLE_SOURCE_DIR) + "/CMakeLists.txt", {}).ok());
}

}  // namespace
}  // namespace bramble::model
