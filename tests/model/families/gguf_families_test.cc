// The GGUF form of each family that fills in a Decoder: the names of llama.cpp's converter, how
// matrices are fused there, and the operations that come of it. That these compute the right
// numbers is shown for the Hugging Face form by tests/model_golden/.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "model/families/compile.h"
#include "tests/model/files/file_helpers.h"

namespace bramble::model::families {
namespace {

using files::GgufWriter;
using files::MetaType;
using files::Raw;
using ::testing::IsEmpty;

// Width 32, two heads of 16, an inner width of 48, five ids, two layers.
struct Case {
  const char* architecture;
  std::uint32_t kv_heads;
  const char* epsilon;
  // Tensors of a layer and of the model; "+": with a bias; ":2x16": of this shape, where the name
  // does not say it.
  const char* layer;
  const char* rest;
  const char* operations;  // of the first layer
  std::function<void(GgufWriter*)> more = {};
};

constexpr char kLayerEpsilon[] = "layer_norm_epsilon";
constexpr char kRmsEpsilon[] = "layer_norm_rms_epsilon";

const Case cases[] = {
    {"gptneox", 2, kLayerEpsilon, "attn_norm+ attn_qkv+ attn_output+ ffn_norm+ ffn_up+ ffn_down+",
     "output_norm+ output",
     "attn_norm ffn_norm attn_q attn_k attn_v q_rope k_rope attention attn_out "
     "ffn_up ffn_act ffn_down branches_add ffn_add",
     [](GgufWriter* w) { w->U32("gptneox.rope.dimension_count", 4); }},
    {"phi2", 2, kLayerEpsilon, "attn_norm+ attn_qkv+ attn_output+ ffn_up+ ffn_down+",
     "output_norm+ output+",
     "attn_norm attn_q attn_k attn_v q_rope k_rope attention attn_out ffn_up "
     "ffn_act ffn_down branches_add ffn_add"},
    {"phi3", 1, kRmsEpsilon, "attn_norm attn_qkv attn_output ffn_norm ffn_up:96x32 ffn_down",
     "output_norm output rope_factors_long:8 rope_factors_short:8",
     "attn_norm attn_q attn_k attn_v q_rope k_rope attention attn_out attn_add "
     "ffn_norm ffn_gate ffn_up ffn_act ffn_down ffn_add",
     [](GgufWriter* w) {
       w->RemoveTensor("rope_factors_long.weight").RemoveTensor("rope_factors_short.weight");
       std::string factors;
       for (int i = 0; i < 8; ++i) factors += Raw(2.0f);
       w->Tensor("rope_factors_long.weight", 0, {8}, factors);
       w->Tensor("rope_factors_short.weight", 0, {8}, factors);
       w->U32("phi3.rope.scaling.original_context_length", 16);
     }},
    {"stablelm", 1, kLayerEpsilon,
     "attn_norm+ attn_q+ attn_k+ attn_v+ attn_output ffn_norm+ ffn_gate ffn_up "
     "ffn_down",
     "output_norm+ output",
     "attn_norm attn_q attn_k attn_v q_rope k_rope attention attn_out attn_add "
     "ffn_norm ffn_gate ffn_up ffn_act ffn_down ffn_add"},
    {"stablelm", 1, kLayerEpsilon,
     "attn_norm+ attn_q attn_k attn_v attn_q_norm:2x16 attn_k_norm:1x16 "
     "attn_output ffn_gate "
     "ffn_up ffn_down",
     "output_norm+ output",
     "attn_norm attn_q attn_k attn_v q_norm q_rope k_norm k_rope attention "
     "attn_out "
     "ffn_gate ffn_up ffn_act ffn_down branches_add ffn_add",
     [](GgufWriter* w) {
       w->Key("stablelm.use_parallel_residual", MetaType::kBool, std::string(1, '\1'));
     }},
    {"starcoder2", 1, kLayerEpsilon,
     "attn_norm+ attn_q+ attn_k+ attn_v+ attn_output+ ffn_norm+ ffn_up+ ffn_down+", "output_norm+",
     "attn_norm attn_q attn_k attn_v q_rope k_rope attention attn_out attn_add "
     "ffn_norm ffn_up ffn_act ffn_down ffn_add"},
    {"nemotron", 1, kLayerEpsilon,
     "attn_norm+ attn_q attn_k attn_v attn_output ffn_norm+ ffn_up ffn_down", "output_norm+ output",
     "attn_norm attn_q attn_k attn_v q_rope k_rope attention attn_out attn_add "
     "ffn_norm ffn_up ffn_act ffn_down ffn_add"},
    {"command-r", 1, kLayerEpsilon,
     "attn_norm attn_q attn_k attn_v attn_q_norm:2x16 attn_k_norm:1x16 attn_output "
     "ffn_gate "
     "ffn_up ffn_down",
     "output_norm",
     "attn_norm attn_q attn_k attn_v q_norm q_rope k_norm k_rope attention "
     "attn_out "
     "ffn_gate ffn_up ffn_act ffn_down branches_add ffn_add",
     [](GgufWriter* w) { w->F32("command-r.logit_scale", 0.25f); }},
    {"cohere2", 1, kLayerEpsilon,
     "attn_norm attn_q attn_k attn_v attn_output ffn_gate ffn_up ffn_down", "output_norm",
     "attn_norm attn_q attn_k attn_v q_rope k_rope attention attn_out ffn_gate "
     "ffn_up ffn_act ffn_down branches_add ffn_add",
     [](GgufWriter* w) {
       w->F32("cohere2.logit_scale", 0.25f).U32("cohere2.attention.sliding_window", 8);
     }},
    {"olmo", 2, kLayerEpsilon, "attn_q attn_k attn_v attn_output ffn_gate ffn_up ffn_down", "",
     "attn_norm attn_q attn_k attn_v q_clamp k_clamp v_clamp q_rope k_rope "
     "attention attn_out attn_add ffn_norm ffn_gate ffn_up ffn_act ffn_down "
     "ffn_add",
     [](GgufWriter* w) { w->F32("olmo.attention.clamp_kqv", 8); }},
    {"olmo2", 1, kRmsEpsilon,
     "attn_q attn_k attn_v attn_q_norm:32 attn_k_norm:16 attn_output "
     "post_attention_norm "
     "ffn_gate ffn_up ffn_down post_ffw_norm",
     "output_norm output",
     "attn_q attn_k attn_v q_norm q_rope k_norm k_rope attention attn_out "
     "attn_post_norm "
     "attn_add ffn_gate ffn_up ffn_act ffn_down ffn_post_norm ffn_add"},
    {"gemma", 1, kRmsEpsilon,
     "attn_norm attn_q attn_k attn_v attn_output ffn_norm ffn_gate ffn_up ffn_down", "output_norm",
     "attn_norm attn_q attn_k attn_v q_rope k_rope attention attn_out attn_add "
     "ffn_norm ffn_gate ffn_up ffn_act ffn_down ffn_add"},
    {"gemma2", 1, kRmsEpsilon,
     "attn_norm attn_q attn_k attn_v attn_output post_attention_norm ffn_norm "
     "ffn_gate ffn_up "
     "ffn_down post_ffw_norm",
     "output_norm",
     "attn_norm attn_q attn_k attn_v q_rope k_rope attention attn_out "
     "attn_post_norm attn_add ffn_norm ffn_gate ffn_up ffn_act ffn_down "
     "ffn_post_norm ffn_add"},
    {"bloom", 2, kLayerEpsilon, "attn_norm+ attn_qkv+ attn_output+ ffn_norm+ ffn_up+ ffn_down+",
     "token_embd_norm+ output_norm+ output",
     "attn_norm attn_q attn_k attn_v attention attn_out attn_add ffn_norm ffn_up "
     "ffn_act "
     "ffn_down ffn_add"},
    {"mpt", 2, kLayerEpsilon, "attn_norm attn_qkv attn_output ffn_norm ffn_up ffn_down",
     "output_norm",
     "attn_norm attn_q attn_k attn_v q_clamp k_clamp v_clamp attention attn_out "
     "attn_add "
     "ffn_norm ffn_up ffn_act ffn_down ffn_add",
     [](GgufWriter* w) { w->F32("mpt.attention.clamp_kqv", 8); }},
    {"falcon", 1, kLayerEpsilon, "attn_norm+ attn_qkv attn_output ffn_up ffn_down", "output_norm+",
     "attn_norm attn_q attn_k attn_v q_rope k_rope attention attn_out ffn_up "
     "ffn_act ffn_down branches_add ffn_add"},
    {"falcon", 1, kLayerEpsilon, "attn_norm+ attn_norm_2+ attn_qkv attn_output ffn_up ffn_down",
     "output_norm+ output",
     "attn_norm ffn_norm attn_q attn_k attn_v q_rope k_rope attention attn_out "
     "ffn_up ffn_act ffn_down branches_add ffn_add"},
    {"granite", 1, kRmsEpsilon,
     "attn_norm attn_q attn_k attn_v attn_output ffn_norm ffn_gate ffn_up ffn_down",
     "output_norm output",
     "attn_norm attn_q attn_k attn_v q_rope k_rope attention attn_out attn_scale "
     "attn_add ffn_norm ffn_gate ffn_up ffn_act ffn_down ffn_scale ffn_add",
     [](GgufWriter* w) {
       w->F32("granite.embedding_scale", 12).F32("granite.attention.scale", 0.0625f);
       w->F32("granite.residual_scale", 0.25f).F32("granite.logit_scale", 8);
     }},
};

std::vector<std::uint64_t> ShapeOf(const std::string& name, const std::string& given,
                                   std::uint64_t kv_heads) {
  std::vector<std::uint64_t> shape;
  std::istringstream text(given);
  for (std::string part; std::getline(text, part, 'x');) shape.push_back(std::stoull(part));
  if (!shape.empty()) return shape;
  const std::map<std::string, std::vector<std::uint64_t>> shapes = {
      {"attn_q", {32, 32}},
      {"attn_k", {16 * kv_heads, 32}},
      {"attn_v", {16 * kv_heads, 32}},
      {"attn_qkv", {32 + 32 * kv_heads, 32}},
      {"attn_output", {32, 32}},
      {"ffn_gate", {48, 32}},
      {"ffn_up", {48, 32}},
      {"ffn_down", {32, 48}},
      {"output", {5, 32}}};
  const auto found = shapes.find(name);
  return found == shapes.end() ? std::vector<std::uint64_t>{32} : found->second;
}

void AddTensors(const std::string& prefix, const char* list, std::uint32_t kv_heads,
                GgufWriter* writer) {
  std::istringstream names(list);
  for (std::string name; names >> name;) {
    const std::size_t colon = name.find(':');
    const std::string given = colon == std::string::npos ? "" : name.substr(colon + 1);
    name.resize(std::min(colon, name.size()));
    const bool biased = name.ends_with('+');
    if (biased) name.pop_back();
    const auto shape = ShapeOf(name, given, kv_heads);
    writer->Zeros(prefix + name + ".weight", shape);
    if (biased) writer->Zeros(prefix + name + ".bias", {shape[0]});
  }
}

GgufWriter Write(const Case& c) {
  GgufWriter w;
  const std::string a = std::string(c.architecture) + ".";
  w.String("general.architecture", c.architecture);
  w.U32(a + "block_count", 2).U32(a + "context_length", 64).U32(a + "embedding_length", 32);
  w.U32(a + "feed_forward_length", 48).U32(a + "attention.head_count", 2);
  w.U32(a + "attention.head_count_kv", c.kv_heads).F32(a + "attention." + c.epsilon, 1e-5f);
  w.Zeros("token_embd.weight", {5, 32});
  for (const char* layer : {"blk.0.", "blk.1."}) AddTensors(layer, c.layer, c.kv_heads, &w);
  AddTensors("", c.rest, c.kv_heads, &w);
  if (c.more) c.more(&w);
  return w;
}

std::string OperationsOf(const v1::Program& program, const std::string& block) {
  std::string names;
  for (const v1::Block& b : program.blocks()) {
    if (b.name() != block) continue;
    for (const v1::Operation& op : b.operations()) {
      names += (names.empty() ? "" : " ") + op.name();
    }
  }
  return names;
}

Result<Compiled> CompileCase(const Case& c) {
  const std::string bytes = Write(c).Finish();
  return Compile(files::FilesOfGguf(bytes), {});
}

TEST(GgufFamilies, BecomeTheOperationsOfTheirGraph) {
  for (const Case& c : cases) {
    SCOPED_TRACE(c.architecture);
    const auto compiled = CompileCase(c);
    ASSERT_TRUE(compiled.ok()) << compiled.status().message();
    EXPECT_EQ(OperationsOf(compiled->program, "layer.0"), c.operations);
    EXPECT_THAT(compiled->unused_tensors, IsEmpty());
  }
}

const v1::Operation& Find(const v1::Program& program, const std::string& block,
                          const std::string& name) {
  for (const v1::Block& b : program.blocks()) {
    for (const v1::Operation& op : b.operations()) {
      if (b.name() == block && op.name() == name) return op;
    }
  }
  ADD_FAILURE() << "no " << block << "/" << name;
  return v1::Operation::default_instance();
}

// The attributes that the names of operations do not show.
TEST(GgufFamilies, HaveTheirOwnNumbers) {
  std::map<std::string, v1::Program> programs;
  for (const Case& c : cases) {
    auto compiled = CompileCase(c);
    ASSERT_TRUE(compiled.ok()) << compiled.status().message();
    programs[c.architecture] = std::move(compiled->program);
  }
  const auto find = [&](const char* program, const char* block, const char* name) {
    return Find(programs[program], block, name);
  };
  // llama.cpp permutes q and k for these, or the models turn neighbours themselves.
  for (const char* name : {"command-r", "cohere2", "olmo", "granite"}) {
    EXPECT_EQ(find(name, "layer.0", "q_rope").rope().style(), v1::Rope::STYLE_PAIR) << name;
  }
  for (const char* name : {"gptneox", "phi2", "phi3", "stablelm", "starcoder2", "nemotron", "olmo2",
                           "gemma", "gemma2", "falcon"}) {
    EXPECT_EQ(find(name, "layer.0", "q_rope").rope().style(), v1::Rope::STYLE_HALF) << name;
  }
  EXPECT_EQ(find("gptneox", "layer.0", "q_rope").rope().dims(), 4u);
  EXPECT_EQ(find("gptneox", "layer.0", "ffn_act").activation().function(), v1::FUNCTION_GELU_ERF);
  EXPECT_EQ(find("phi3", "layer.0", "q_rope").rope().long_from(), 16u);
  EXPECT_EQ(find("nemotron", "layer.0", "ffn_act").activation().function(),
            v1::FUNCTION_RELU_SQUARED);
  EXPECT_EQ(find("stablelm", "layer.0", "q_norm").norm().groups(), 2u);
  EXPECT_EQ(find("olmo2", "layer.0", "q_norm").norm().groups(), 1u);
  EXPECT_EQ(find("cohere2", "layer.0", "attention").attention().window(), 8u);
  EXPECT_EQ(find("command-r", "head", "logit_scale").arithmetic().scalar(), 0.25f);
  EXPECT_EQ(find("granite", "head", "logit_scale").arithmetic().scalar(), 0.125f);
  EXPECT_EQ(find("granite", "layer.0", "attention").attention().scale(), 0.0625f);
  EXPECT_EQ(find("granite", "embed", "embed_scale").arithmetic().scalar(), 12);
  EXPECT_TRUE(find("bloom", "layer.0", "attention").attention().has_slopes());
  EXPECT_TRUE(find("phi2", "head", "output").linear().has_bias());
}

}  // namespace
}  // namespace bramble::model::families
