// Folders of other systems than Hugging Face: what their settings say, and what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "model/files/litgpt_folder.h"
#include "model/files/meta_folder.h"
#include "model/files/mlc_folder.h"
#include "model/files/table.h"
#include "tests/model/files/file_helpers.h"
#include "tests/model/files/pytorch_helpers.h"

namespace bramble::model::files {
namespace {

using ::testing::HasSubstr;

// One tensor of two rows.
std::string OneTensor(const std::string& name) {
  return TorchZip(Dict(PickleText().Tensor(name, 0, {2, 1}, {1, 1})), {{"0", "aaaabbbb"}});
}

TEST(MetaFolder, NamesTensorsAsHuggingFaceDoes) {
  const std::pair<const char*, const char*> names[] = {
      {"tok_embeddings.weight", "model.embed_tokens.weight"},
      {"output.weight", "lm_head.weight"},
      {"layers.31.attention.wq.weight", "model.layers.31.self_attn.q_proj.weight"},
      {"layers.0.feed_forward.w2.weight", "model.layers.0.mlp.down_proj.weight"},
      {"layers.0.ffn_norm.weight", "model.layers.0.post_attention_layernorm.weight"},
      {"layers.0.mystery.weight", "layers.0.mystery.weight"},
      {"layers.", "layers."},
      {"", ""},
  };
  for (const auto& [meta, hf] : names) EXPECT_EQ(HfNameOfMeta(meta), hf);
}

TEST(MetaFolder, SaysWhatAConfigJsonWould) {
  TemporaryFolder folder;
  folder.Write("consolidated.00.pth", OneTensor("layers.0.feed_forward.w1.weight"));
  folder.Write("params.json", R"({"dim":8,"n_heads":2,"n_layers":1,"norm_eps":1e-5,)"
                              R"("rope_theta":500000.0,"use_scaled_rope":true})");
  auto files = OpenModelFiles(folder.path());
  ASSERT_TRUE(files.ok()) << files.status().message();
  EXPECT_EQ(files->container, "PyTorch of params.json");
  const auto find = [&](const char* key) { return FindValue(files->metadata, key); };
  EXPECT_EQ(find("model_type")->Text(), "llama");
  EXPECT_EQ(find("hidden_size")->Whole(), 8);
  EXPECT_EQ(find("intermediate_size")->Whole(), 2);
  EXPECT_EQ(find("max_position_embeddings")->Whole(), 131072);
  EXPECT_EQ(find("rope_scaling.factor")->Real(), 32);  // no head of its own: a small model
  EXPECT_EQ(find("tie_word_embeddings")->Flag(), true);
  EXPECT_EQ(find("rope_interleave")->Flag(), true);
  folder.Write("params.json", R"({"dim":8,"sliding_window":4096,"hidden_dim":3})");
  files = OpenModelFiles(folder.path());
  ASSERT_TRUE(files.ok()) << files.status().message();
  EXPECT_EQ(find("model_type")->Text(), "mistral");
  EXPECT_EQ(find("intermediate_size")->Whole(), 3);
}

TEST(MetaFolder, RefusesInWordsWhatItCannotRead) {
  TemporaryFolder folder;
  const auto message = [&] { return OpenModelFiles(folder.path()).status().message(); };
  folder.Write("params.json", "{");
  EXPECT_THAT(message(), HasSubstr("params.json"));
  folder.Write("params.json", R"({"dim":8,"moe":{"num_experts":8}})");
  EXPECT_THAT(message(), HasSubstr("only dense models"));
  folder.Write("params.json", R"({"dim":8})");
  EXPECT_THAT(message(), HasSubstr("there is no consolidated.safetensors"));
  folder.Write("consolidated.01.pth", "");
  EXPECT_THAT(message(), HasSubstr("cut for several processors"));
}

TEST(LitGptFolder, NeedsItsSettings) {
  TemporaryFolder folder;
  folder.Write("lit_model.pth", OneTensor("transformer.wte.weight"));
  EXPECT_THAT(OpenModelFiles(folder.path()).status().message(),
              HasSubstr("neither model_config.yaml nor lit_config.json"));
  folder.Write("lit_config.json", R"({"n_layer":3,"vocab_size":7,"padded_vocab_size":8})");
  auto files = OpenModelFiles(folder.path());
  ASSERT_TRUE(files.ok()) << files.status().message();
  EXPECT_EQ(FindValue(files->metadata, "model_type")->Text(), "litgpt");
  EXPECT_EQ(FindValue(files->metadata, "vocab_size")->Whole(), 8);
  folder.Write("model_config.yaml", "n_layer: 4\n");
  files = OpenModelFiles(folder.path());
  EXPECT_EQ(FindValue(files->metadata, "n_layer")->Whole(), 4);
  EXPECT_EQ(FindValue(files->metadata, "vocab_size"), nullptr);
}

class MlcFolder : public ::testing::Test {
 protected:
  MlcFolder() {
    Config("q4f16_1");
    folder_.Write("p.bin", std::string(64, 'x'));
  }

  void Config(const std::string& quantization) {
    folder_.Write("mlc-chat-config.json",
                  R"({"model_type":"llama","model_config":{"num_attention_heads":1,"head_dim":2,)"
                  R"("num_key_value_heads":1,"intermediate_size":3},"quantization":")" +
                      quantization + "\"}");
  }
  // One tensor of F16 at a place.
  void Cache(const std::string& name, const std::string& shape, int bytes, int offset,
             const std::string& path = "p.bin") {
    folder_.Write("tensor-cache.json",
                  R"({"records":[{"dataPath":")" + path + R"(","records":[{"name":")" + name +
                      R"(","shape":)" + shape + R"(,"dtype":"float16","format":"raw","nbytes":)" +
                      std::to_string(bytes) + R"(,"byteOffset":)" + std::to_string(offset) +
                      "}]}]}");
  }
  std::string Message() const { return OpenModelFiles(folder_.path()).status().message(); }

  TemporaryFolder folder_;
};

TEST_F(MlcFolder, GivesFusedMatricesTheNamesOfTheirParts) {
  Cache("model.layers.0.self_attn.qkv_proj.q_scale", "[6, 2]", 24, 4);
  const auto files = OpenModelFiles(folder_.path());
  ASSERT_TRUE(files.ok()) << files.status().message();
  EXPECT_EQ(files->container, "MLC, q4f16_1");
  ASSERT_EQ(files->tensors.all().size(), 3U);
  const Tensor* keys = files->tensors.Find("model.layers.0.self_attn.k_proj.q_scale");
  ASSERT_NE(keys, nullptr);
  EXPECT_EQ(keys->shape, (std::vector<std::uint64_t>{2, 2}));
  EXPECT_EQ(keys->bytes.data() - files->maps[0]->bytes().data(), 4 + 8);
}

TEST(MlcCache, TakesNothingFromPlacesWhereItDoesNotBelong) {
  for (const char* text : {R"({"a":{"b":{"shape":[[[1]]],"name":[["x"]],"nbytes":[[1]]}}})",
                           R"({"a":{"dataPath":["x"]}})",
                           R"({"records":[{"records":[]},{"a":{"name":["x"],"shape":[[1]]}}]})",
                           R"([[{"name":"x"}]])"}) {
    const auto shards = ReadMlcCache(text);
    ASSERT_TRUE(shards.ok()) << text << ": " << shards.status().message();
    for (const MlcShard& shard : *shards) EXPECT_TRUE(shard.records.empty()) << text;
  }
}

TEST_F(MlcFolder, RefusesInWordsWhatDoesNotFit) {
  EXPECT_THAT(Message(), HasSubstr("neither tensor-cache.json nor ndarray-cache.json"));
  Cache("t", "[4]", 8, 60);
  EXPECT_THAT(Message(), HasSubstr("its 8 bytes at 60 end past the file's 64"));
  Cache("t", "[5]", 8, 0);
  EXPECT_THAT(Message(), HasSubstr("it has 8 bytes, and its shape [5]"));
  Cache("t", "[4611686018427387904, 4]", 8, 0);
  EXPECT_THAT(Message(), HasSubstr("more values than 2^63"));
  Cache("t", "[4]", 8, 0, "../p.bin");
  EXPECT_THAT(Message(), HasSubstr("'../p.bin'"));
  Cache("", "[4]", 8, 0);
  EXPECT_THAT(Message(), HasSubstr("a name is empty"));
  Cache("a.gate_up_proj.weight", "[4]", 8, 0);
  EXPECT_THAT(Message(), HasSubstr("the description's parts have 6 rows"));
  folder_.Write("tensor-cache.json", std::string(100, '['));
  EXPECT_THAT(Message(), HasSubstr("nested deeper"));
  Config("q4f16_ft");
  EXPECT_THAT(Message(), HasSubstr("the quantization 'q4f16_ft' cannot be read"));
}

TEST(FlatYaml, ReadsPlainValuesAndPassesOverTheRest) {
  const auto settings = ReadFlatYaml(
      "# a comment\nwhole: -12\nreal: 1.0e-05\nflag: true\nnothing: null\n\ntext: 'a: b'\n"
      "plain: LLaMAMLP\nlist:\n- 1\n- 2\nnested:\n  inner: 3\nlast: .5");
  ASSERT_TRUE(settings.ok()) << settings.status().message();
  const auto find = [&](const char* key) { return FindValue(*settings, key); };
  EXPECT_EQ(find("whole")->Whole(), -12);
  EXPECT_EQ(find("real")->Real(), 1e-5);
  EXPECT_EQ(find("flag")->Flag(), true);
  EXPECT_EQ(find("nothing"), nullptr);
  EXPECT_EQ(find("text")->Text(), "a: b");
  EXPECT_EQ(find("plain")->Text(), "LLaMAMLP");
  EXPECT_EQ(find("inner"), nullptr);
  EXPECT_EQ(find("last")->Real(), 0.5);
  EXPECT_THAT(ReadFlatYaml("a: 1\na: 2").status().message(), HasSubstr("line 2: the key 'a'"));
  EXPECT_THAT(ReadFlatYaml("no colon").status().message(), HasSubstr("line 1 is no 'key: value'"));
}

TEST(TrainingRun, OfNanoGptSaysWhatItIsAndOthersNeedAConfigJson) {
  TemporaryFolder folder;
  const std::string tensors = Dict(PickleText().Tensor("w", 0, {2, 1}, {1, 1}));
  const auto inner = [](const std::string& pickle) { return pickle.substr(2, pickle.size() - 3); };
  PickleText run;
  run.Text("model").Op(inner(tensors)).Text("model_args");
  run.Op(inner(Dict(PickleText().Text("n_layer").Whole(2).Text("bias").Op("\x89"))));
  const std::string path = folder.Write("ckpt.pt", TorchZip(Dict(run), {{"0", "aaaabbbb"}}));
  const auto files = OpenModelFiles(path);
  ASSERT_TRUE(files.ok()) << files.status().message();
  EXPECT_EQ(FindValue(files->metadata, "model_type")->Text(), "nanogpt");
  EXPECT_EQ(FindValue(files->metadata, "n_layer")->Whole(), 2);
  EXPECT_EQ(FindValue(files->metadata, "bias")->Flag(), false);
  EXPECT_THAT(OpenModelFiles(folder.Write("plain.pt", OneTensor("w"))).status().message(),
              HasSubstr(R"({"model_type": "mingpt", "n_layer": 12)"));
}

}  // namespace
}  // namespace bramble::model::files
