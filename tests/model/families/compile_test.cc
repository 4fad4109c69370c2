// What families make of right and of lying descriptions. That the programs compute the right
// numbers is shown by tests/model_golden/.
#include "model/families/compile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <set>
#include <string>

#include "model/families/table.h"
#include "tests/model/files/file_helpers.h"

namespace bramble::model::families {
namespace {

using files::GgufWriter;
using files::MetaType;
using files::Raw;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// One layer of width 32, two heads of 16, one key-value head.
GgufWriter TinyLlama() {
  GgufWriter w;
  w.String("general.architecture", "llama")
      .U32("llama.block_count", 1)
      .U32("llama.context_length", 64);
  w.U32("llama.embedding_length", 32).U32("llama.feed_forward_length", 48);
  w.U32("llama.attention.head_count", 2).U32("llama.attention.head_count_kv", 1);
  w.F32("llama.attention.layer_norm_rms_epsilon", 1e-5f).F32("llama.rope.freq_base", 10000);
  w.Zeros("token_embd.weight", {5, 32}).Zeros("output_norm.weight", {32});
  w.Zeros("blk.0.attn_norm.weight", {32}).Zeros("blk.0.attn_q.weight", {32, 32});
  w.Zeros("blk.0.attn_k.weight", {16, 32}).Zeros("blk.0.attn_v.weight", {16, 32});
  w.Zeros("blk.0.attn_output.weight", {32, 32}).Zeros("blk.0.ffn_norm.weight", {32});
  w.Zeros("blk.0.ffn_gate.weight", {48, 32}).Zeros("blk.0.ffn_up.weight", {48, 32});
  w.Zeros("blk.0.ffn_down.weight", {32, 48});
  return w;
}

Result<Compiled> CompileGguf(const GgufWriter& writer, const CompileOptions& options = {}) {
  // The recipes point into the files: the tests look only at what does not.
  const std::string bytes = writer.Finish();
  const files::ModelFiles files = files::FilesOfGguf(bytes);
  return Compile(files, options);
}

const v1::Operation* FindOperation(const v1::Program& program, const std::string& block,
                                   const std::string& name) {
  for (const v1::Block& b : program.blocks()) {
    if (b.name() != block) continue;
    for (const v1::Operation& operation : b.operations()) {
      if (operation.name() == name) return &operation;
    }
  }
  ADD_FAILURE() << "no " << block << "/" << name;
  return &v1::Operation::default_instance();
}

TEST(Compile, WritesABlockForEachLayerBetweenEmbeddingAndHead) {
  const auto compiled = CompileGguf(TinyLlama());
  ASSERT_TRUE(compiled.ok()) << compiled.status().message();
  const v1::Program& program = compiled->program;
  ASSERT_EQ(program.blocks_size(), 3);
  EXPECT_EQ(program.blocks(0).name(), "embed");
  EXPECT_EQ(program.blocks(1).name(), "layer.0");
  EXPECT_EQ(program.blocks(2).name(), "head");
  EXPECT_EQ(program.vocabulary_size(), 5u);
  EXPECT_EQ(program.context_length(), 64u);
  // Tied: the table of the first block is the matrix of the last.
  EXPECT_EQ(FindOperation(program, "embed", "tokens")->embed().table(),
            FindOperation(program, "head", "output")->linear().weight());
  EXPECT_EQ(FindOperation(program, "layer.0", "q_rope")->rope().style(), v1::Rope::STYLE_PAIR);
  EXPECT_EQ(FindOperation(program, "layer.0", "attention")->attention().scale(), 0.25f);
  EXPECT_THAT(FindOperation(program, "layer.0", "ffn_down")->linear().segment_ends(),
              ElementsAre(32, 48));
}

TEST(Compile, TakesTheInputFormThatAnEncodingHas) {
  GgufWriter writer = TinyLlama();
  writer.RemoveTensor("blk.0.attn_q.weight")
      .Tensor("blk.0.attn_q.weight", 2, {32, 32}, std::string(std::size_t{32} * 18, '\0'));
  const auto normal = CompileGguf(writer);
  ASSERT_TRUE(normal.ok()) << normal.status().message();
  EXPECT_EQ(FindOperation(normal->program, "layer.0", "attn_q")->linear().input_form(),
            v1::INPUT_FORM_A8_32);
  EXPECT_EQ(FindOperation(normal->program, "layer.0", "attn_k")->linear().input_form(),
            v1::INPUT_FORM_F32);
  EXPECT_EQ(normal->program.caches(0).key_value().encoding(), v1::ENCODING_F16);
  const auto truth = CompileGguf(writer, TrueMode());
  ASSERT_TRUE(truth.ok()) << truth.status().message();
  EXPECT_EQ(FindOperation(truth->program, "layer.0", "attn_q")->linear().input_form(),
            v1::INPUT_FORM_F32);
  EXPECT_EQ(truth->program.caches(0).key_value().encoding(), v1::ENCODING_F32);
}

TEST(Compile, KeepsCachesOfFloatModelsInF32) {
  const auto compiled = CompileGguf(TinyLlama());
  ASSERT_TRUE(compiled.ok()) << compiled.status().message();
  EXPECT_EQ(compiled->program.caches(0).key_value().encoding(), v1::ENCODING_F32);
}

TEST(Compile, TakesWhatIsUnusualButRight) {
  GgufWriter writer = TinyLlama();
  writer.Replace("llama.block_count", MetaType::kUint64, Raw<std::uint64_t>(1));
  writer.Replace(
      "llama.attention.head_count_kv", MetaType::kArray,
      Raw(static_cast<std::uint32_t>(MetaType::kInt32)) + Raw<std::uint64_t>(1) + Raw(1));
  writer.U32("llama.something_new", 7).Zeros("extra", {3});
  const auto compiled = CompileGguf(writer);
  ASSERT_TRUE(compiled.ok()) << compiled.status().message();
  EXPECT_THAT(compiled->unused_tensors, ElementsAre("extra"));
}

TEST(Compile, RefusesAContextBeyondTheModels) {
  CompileOptions options;
  options.context_length = 65;
  EXPECT_THAT(CompileGguf(TinyLlama(), options).status().message(),
              HasSubstr("65 positions is asked for, and the model can have 64"));
  options.context_length = 17;
  EXPECT_EQ(CompileGguf(TinyLlama(), options)->program.context_length(), 17u);
}

struct Lie {
  const char* name;
  std::function<void(GgufWriter*)> tell;
  const char* message;

  // Named in the list of tests.
  friend void PrintTo(const Lie& lie, std::ostream* out) { *out << lie.name; }
};

std::function<void(GgufWriter*)> Whole(const char* key, std::uint32_t value) {
  return [=](GgufWriter* w) { w->Replace(key, MetaType::kUint32, Raw(value)); };
}
std::function<void(GgufWriter*)> Real(const char* key, float value) {
  return [=](GgufWriter* w) { w->Replace(key, MetaType::kFloat32, Raw(value)); };
}
std::function<void(GgufWriter*)> Shape(const char* name, const std::vector<std::uint64_t>& shape) {
  return [=](GgufWriter* w) { w->RemoveTensor(name).Zeros(name, shape); };
}

constexpr char kEpsilon[] = "llama.attention.layer_norm_rms_epsilon";
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

const Lie lies[] = {
    {"NoArchitecture", [](GgufWriter* w) { w->Remove("general.architecture"); },
     "'general.architecture' is missing"},
    {"OtherArchitecture",
     [](GgufWriter* w) {
       w->Remove("general.architecture").String("general.architecture", "mamba");
     },
     "the family 'mamba' cannot be compiled yet; known: llama, qwen2"},
    {"EpsilonNan", Real(kEpsilon, kNan), "is nan, and must be a number above 0 to 1"},
    {"EpsilonNegative", Real(kEpsilon, -1), "is -1, and must be"},
    {"EpsilonZero", Real(kEpsilon, 0), "is 0, and must be"},
    {"EpsilonMissing", [](GgufWriter* w) { w->Remove(kEpsilon); }, "epsilon' is missing"},
    {"NoLayers", Whole("llama.block_count", 0),
     "'llama.block_count' is 0, and must be a whole number, 1 to 1024"},
    {"ManyLayers", Whole("llama.block_count", 1000000000), "is 1000000000, and must be"},
    {"OneLayerTooMany", Whole("llama.block_count", 2),
     "tensor 'blk.1.attn_norm.weight' is missing"},
    {"LayersAsText",
     [](GgufWriter* w) { w->Remove("llama.block_count").String("llama.block_count", "1"); },
     "is '1', and must be"},
    {"LayersAsUnequalList",
     [](GgufWriter* w) {
       w->Replace("llama.block_count", MetaType::kArray,
                  Raw(static_cast<std::uint32_t>(MetaType::kInt32)) + Raw<std::uint64_t>(2) +
                      Raw(1) + Raw(2));
     },
     "is a list of 2, and must be one number for all layers"},
    {"NoHeads", Whole("llama.attention.head_count", 0), "head_count' is 0"},
    {"ThreeHeads", Whole("llama.attention.head_count", 3),
     "the width 32 is no multiple of the 3 heads"},
    {"KeyValueHeads", Whole("llama.attention.head_count_kv", 3),
     "2 heads are no multiple of 3 key-value heads"},
    {"MoreHeads", Whole("llama.attention.head_count", 4), "needs [8, 32]"},
    {"NoContext", Whole("llama.context_length", 0), "context_length' is 0"},
    {"LongContext", Whole("llama.context_length", 4294967295u), "context_length' is 4294967295"},
    {"BaseZero", Real("llama.rope.freq_base", 0), "freq_base' is 0"},
    {"BaseNan", Real("llama.rope.freq_base", kNan), "freq_base' is nan"},
    {"BaseInfinite", Real("llama.rope.freq_base", kInfinity), "freq_base' is inf"},
    {"OddRotation", Whole("llama.rope.dimension_count", 3),
     "3 dimensions of each head would be rotated, of 16"},
    {"LongRotation", Whole("llama.rope.dimension_count", 32),
     "32 dimensions of each head would be rotated, of 16"},
    {"Scaling", [](GgufWriter* w) { w->String("llama.rope.scaling.type", "weird"); },
     "the rotary scaling 'weird'"},
    {"Experts", Whole("llama.expert_count", 8), "'llama.expert_used_count' is missing"},
    {"Vocabulary", Whole("llama.vocab_size", 6),
     "'llama.vocab_size' is 6, and tensor 'token_embd.weight' has 5 rows"},
    {"WideEmbedding", Whole("llama.embedding_length", 64),
     "'token_embd.weight' has the shape [5, 32]"},
    {"NoEmbedding", [](GgufWriter* w) { w->RemoveTensor("token_embd.weight"); },
     "'token_embd.weight' is missing"},
    {"EmptyEmbedding", Shape("token_embd.weight", {0, 32}), "has the shape [0, 32]"},
    {"NoNorm", [](GgufWriter* w) { w->RemoveTensor("output_norm.weight"); },
     "'output_norm.weight' is missing"},
    {"NarrowNorm", Shape("blk.0.ffn_norm.weight", {31}),
     "'blk.0.ffn_norm.weight' has the shape [31]"},
    {"QuantizedNorm",
     [](GgufWriter* w) {
       w->RemoveTensor("output_norm.weight")
           .Tensor("output_norm.weight", 2, {32}, std::string(18, '\0'));
     },
     "'output_norm.weight' is stored as Q4_0, and norms and biases must be float"},
    {"WholeNumbers",
     [](GgufWriter* w) {
       w->RemoveTensor("blk.0.attn_q.weight")
           .Tensor("blk.0.attn_q.weight", 24, {32, 32}, std::string(1024, '\0'));
     },
     "'blk.0.attn_q.weight' is of the type I8"},
    {"Divisors", [](GgufWriter* w) { w->Zeros("rope_freqs.weight", {8}); },
     "'rope_freqs.weight' has a value that is not above 0"},
    {"NarrowDivisors", [](GgufWriter* w) { w->Zeros("rope_freqs.weight", {7}); },
     "'rope_freqs.weight' has the shape [7]"},
};

class EveryLie : public ::testing::TestWithParam<Lie> {};

TEST_P(EveryLie, IsRefusedInWords) {
  GgufWriter writer = TinyLlama();
  GetParam().tell(&writer);
  const auto compiled = CompileGguf(writer);
  ASSERT_FALSE(compiled.ok());
  EXPECT_THAT(compiled.status().message(), HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(Compile, EveryLie, ::testing::ValuesIn(lies),
                         [](const auto& test) { return test.param.name; });

// GPT-2's smallest: one layer of width 8.
std::vector<files::ZeroTensor> TinyGpt2(const std::string& prefix) {
  std::vector<files::ZeroTensor> tensors = {
      {"wte.weight", {5, 8}}, {"wpe.weight", {16, 8}}, {"ln_f.weight", {8}}, {"ln_f.bias", {8}}};
  const files::ZeroTensor layer[] = {{"ln_1.weight", {8}},
                                     {"ln_1.bias", {8}},
                                     {"attn.c_attn.weight", {8, 24}},
                                     {"attn.c_attn.bias", {24}},
                                     {"attn.c_proj.weight", {8, 8}},
                                     {"attn.c_proj.bias", {8}},
                                     {"ln_2.weight", {8}},
                                     {"ln_2.bias", {8}},
                                     {"mlp.c_fc.weight", {8, 32}},
                                     {"mlp.c_fc.bias", {32}},
                                     {"mlp.c_proj.weight", {32, 8}},
                                     {"mlp.c_proj.bias", {8}},
                                     {"attn.bias", {1, 1, 16, 16}}};
  for (const files::ZeroTensor& tensor : layer)
    tensors.push_back({std::string("h.0.") + tensor.name, tensor.shape});
  for (files::ZeroTensor& tensor : tensors) tensor.name = prefix + tensor.name;
  return tensors;
}

constexpr char kTinyGpt2[] =
    R"("model_type":"gpt2","n_embd":8,"n_layer":1,"n_head":2,"n_positions":16)";

TEST(Compile, KnowsBothNamesThatGpt2sTensorsHave) {
  for (const char* prefix : {"transformer.", ""}) {
    const files::ModelFiles files =
        files::FilesOfHf(std::string("{") + kTinyGpt2 + "}", TinyGpt2(prefix));
    const auto compiled = Compile(files, {});
    ASSERT_TRUE(compiled.ok()) << compiled.status().message();
    EXPECT_TRUE(compiled->unused_tensors.empty());
  }
}

TEST(Compile, ScalesGpt2sScoresAsItsDescriptionSays) {
  const std::pair<const char*, float> scales[] = {
      {"", 0.5f},
      {R"(,"scale_attn_weights":false)", 1.0f},
      {R"(,"scale_attn_by_inverse_layer_idx":true)", 0.5f},
  };
  for (const auto& [more, scale] : scales) {
    const files::ModelFiles files =
        files::FilesOfHf(std::string("{") + kTinyGpt2 + more + "}", TinyGpt2(""));
    const auto compiled = Compile(files, {});
    ASSERT_TRUE(compiled.ok()) << compiled.status().message();
    EXPECT_EQ(FindOperation(compiled->program, "layer.0", "attention")->attention().scale(), scale)
        << more;
  }
}

TEST(Compile, RefusesConfigJsonInWords) {
  const std::pair<const char*, const char*> wrong[] = {
      {R"(,"activation_function":"mystery")",
       "'activation_function': the activation 'mystery' is not known"},
      {R"(,"quantization_config":{"quant_method":"quip"})", "weights quantized by 'quip'"},
      {R"(,"add_cross_attention":true)", "'add_cross_attention': cross-attention"},
      {R"(,"tie_word_embeddings":false)", "'lm_head.weight' is missing"},
      {R"(,"tie_word_embeddings":3)", "'tie_word_embeddings' is 3, and must be true or false"},
      {R"(,"vocab_size":6)", "'vocab_size' is 6"},
      {R"(,"layer_norm_epsilon":0)", "'layer_norm_epsilon' is 0"},
      {R"(,"n_inner":31)", "needs [8, 31]"},
  };
  for (const auto& [more, message] : wrong) {
    const files::ModelFiles files =
        files::FilesOfHf(std::string("{") + kTinyGpt2 + more + "}", TinyGpt2(""));
    EXPECT_THAT(Compile(files, {}).status().message(), HasSubstr(message)) << more;
  }
  const files::ModelFiles unknown = files::FilesOfHf(R"({"model_type":"\u001b[2J"})", {});
  EXPECT_THAT(Compile(unknown, {}).status().message(),
              HasSubstr("'\\x1b[2J' cannot be compiled yet"));
  EXPECT_THAT(Compile(files::FilesOfHf("{}", {}), {}).status().message(),
              HasSubstr("'model_type' is missing"));
}

// Gemma 3 with `layers` layers of width 64, two heads of 16.
GgufWriter TinyGemma3(std::uint32_t layers) {
  GgufWriter w;
  w.String("general.architecture", "gemma3")
      .U32("gemma3.block_count", layers)
      .U32("gemma3.context_length", 64);
  w.U32("gemma3.embedding_length", 64).U32("gemma3.feed_forward_length", 32);
  w.U32("gemma3.attention.head_count", 2).U32("gemma3.attention.head_count_kv", 1);
  w.U32("gemma3.attention.key_length", 16).U32("gemma3.attention.value_length", 16);
  w.U32("gemma3.attention.sliding_window", 24)
      .F32("gemma3.attention.layer_norm_rms_epsilon", 1e-6f);
  w.Zeros("token_embd.weight", {5, 64}).Zeros("output_norm.weight", {64});
  for (std::uint32_t i = 0; i < layers; ++i) {
    const std::string p = std::string("blk.") + std::to_string(i) + ".";
    for (const char* name : {"attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm"})
      w.Zeros(p + name + ".weight", {64});
    for (const char* name : {"attn_q_norm", "attn_k_norm"}) w.Zeros(p + name + ".weight", {16});
    w.Zeros(p + "attn_q.weight", {32, 64})
        .Zeros(p + "attn_k.weight", {16, 64})
        .Zeros(p + "attn_v.weight", {16, 64});
    w.Zeros(p + "attn_output.weight", {64, 32})
        .Zeros(p + "ffn_gate.weight", {32, 64})
        .Zeros(p + "ffn_up.weight", {32, 64});
    w.Zeros(p + "ffn_down.weight", {64, 32});
  }
  return w;
}

TEST(Compile, GivesGemma3AWindowInFiveOfSixLayers) {
  const auto compiled = CompileGguf(TinyGemma3(7));
  ASSERT_TRUE(compiled.ok()) << compiled.status().message();
  const v1::Program& program = compiled->program;
  std::vector<std::uint32_t> windows;
  std::vector<std::uint32_t> cached;
  for (int i = 0; i < 7; ++i) {
    const auto& attention =
        FindOperation(program, std::string("layer.") + std::to_string(i), "attention")->attention();
    windows.push_back(attention.window());
    cached.push_back(program.caches(static_cast<int>(attention.cache())).key_value().window());
  }
  EXPECT_THAT(windows, ElementsAre(24, 24, 24, 24, 24, 0, 24));
  EXPECT_EQ(windows, cached);
  EXPECT_NE(FindOperation(program, "layer.4", "q_rope")->rope().frequencies(),
            FindOperation(program, "layer.5", "q_rope")->rope().frequencies());
  EXPECT_EQ(FindOperation(program, "embed", "embed_scale")->arithmetic().scalar(), 8.0f);
}

TEST(Compile, ScalesGemma3sQueriesByTheHeadButInItsLargestModel) {
  EXPECT_EQ(FindOperation(CompileGguf(TinyGemma3(1))->program, "layer.0", "attention")
                ->attention()
                .scale(),
            0.25f);
  EXPECT_EQ(FindOperation(CompileGguf(TinyGemma3(62))->program, "layer.0", "attention")
                ->attention()
                .scale(),
            static_cast<float>(1 / std::sqrt(32.0)));
}

TEST(Compile, NamesEachFamilyOnceInADialect) {
  std::set<std::string> gguf;
  std::set<std::string> hf;
  for (const Family& family : Families()) {
    const bool again = (family.gguf != nullptr && !gguf.insert(family.gguf).second) ||
                       (family.hf != nullptr && !hf.insert(family.hf).second);
    EXPECT_FALSE(again) << (family.gguf != nullptr ? family.gguf : family.hf);
  }
}

}  // namespace
}  // namespace bramble::model::families
