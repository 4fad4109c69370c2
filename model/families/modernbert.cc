// ModernBERT: rotary positions, windows in two of three layers, norms in front of each branch, a
// gated feed-forward network.
#include <cmath>
#include <string>
#include <vector>

#include "model/families/pooling.h"
#include "model/families/table.h"

namespace bramble::model::families {
namespace {

constexpr TensorName kTokens = {"", "embeddings.tok_embeddings"};
constexpr TensorName kEmbeddingNorm = {"", "embeddings.norm"};
constexpr TensorName kAttentionNorm = {"", "layers.#.attn_norm"};
constexpr TensorName kFused = {"", "layers.#.attn.Wqkv"};
constexpr TensorName kAttentionOut = {"", "layers.#.attn.Wo"};
constexpr TensorName kFeedNorm = {"", "layers.#.mlp_norm"};
constexpr TensorName kGateAndUp = {"", "layers.#.mlp.Wi"};
constexpr TensorName kDown = {"", "layers.#.mlp.Wo"};
constexpr TensorName kFinalNorm = {"", "final_norm"};

struct Config {
  std::uint32_t width = 0;
  std::uint32_t layers = 0;
  std::uint32_t heads = 0;
  std::uint32_t inner = 0;
  std::uint32_t reach = 0;  // positions that a local layer sees on each side
  float epsilon = 0;
  v1::Function function = v1::FUNCTION_GELU_ERF;
  std::vector<bool> local;  // by layer
  Rotation global_rotation;
  Rotation local_rotation;
};

Config ReadConfig(Fields* f, Compilation* c) {
  // The defaults are those of transformers' ModernBertConfig.
  Config config;
  RefuseStrangers(f, c->files);
  config.width = f->CountOrHfDefault({"", "hidden_size"}, 1, kMostWidth / 2, 768);
  config.layers = f->CountOrHfDefault({"", "num_hidden_layers"}, 1, kMostLayers, 22);
  config.heads = f->CountOrHfDefault({"", "num_attention_heads"}, 1, kMostHeads, 12);
  config.inner = f->CountOrHfDefault({"", "intermediate_size"}, 1, kMostWidth / 2, 1152);
  config.epsilon = static_cast<float>(f->Real({"", "norm_eps"}, 0, 1, 1e-5));
  config.function = ReadFunction(f, {"", "hidden_activation"}, "gelu");
  config.reach = f->Count({"", "local_attention"}, 2, kMostPositions, 128) / 2;
  c->trained_context =
      f->CountOrHfDefault({"", "max_position_embeddings"}, 1, kMostPositions, 8192);
  config.local = ReadSlidingLayers(f, config.layers);
  if (config.local.empty()) {
    const std::uint32_t period = f->Count({"", "global_attn_every_n_layers"}, 1, kMostLayers, 3);
    for (std::uint32_t i = 0; i < config.layers; ++i) config.local.push_back(i % period != 0);
  }
  if (config.width % (2 * config.heads) != 0) {
    f->Refuse(Invalid("the width ", config.width, " is no even multiple of the ", config.heads,
                      " heads"));
    return config;
  }
  const std::uint32_t dims = config.width / config.heads;
  const double global = f->Real({"", "global_rope_theta"}, 1, 1e12, 160000);
  const double local = f->Real({"", "local_rope_theta"}, 1, 1e12, global);
  config.global_rotation = ReadRotation(f, "full_attention", dims, global, c->trained_context);
  config.local_rotation = ReadRotation(f, "sliding_attention", dims, local, c->trained_context);
  return config;
}

Value Norm(Compilation* c, std::string_view name, Value x, TensorName tensor, std::uint32_t layer,
           float epsilon) {
  return c->builder.LayerNorm(name, x, epsilon, c->Vector(tensor, ".weight", layer, x.width),
                              c->Bias(tensor, layer, x.width, c->Has(tensor, ".bias", layer)));
}

// Rows [first, first + count) of a matrix of `total`, with the bias if the file has one.
Value Part(Compilation* c, std::string_view name, Value x, TensorName tensor, std::uint32_t layer,
           RowRange rows) {
  std::optional<WeightRef> bias;
  if (c->Has(tensor, ".bias", layer)) {
    bias = c->weights.Vector(c->Name(tensor, ".bias", layer), rows);
  }
  return c->builder.Linear(
      name, x, c->weights.Matrix(c->Name(tensor, ".weight", layer), rows, x.width), bias);
}

Value AddAttention(Compilation* c, const Config& config, std::uint32_t i, const RopeWeights& rope,
                   Value x) {
  ProgramBuilder& b = c->builder;
  const std::uint32_t width = config.width;
  // The embedding's norm stands in for the first layer's.
  const Value n = i == 0 ? x : Norm(c, "attn_norm", x, kAttentionNorm, i, config.epsilon);
  const Value q = Part(c, "attn_q", n, kFused, i, {0, width, 3 * width});
  const Value k = Part(c, "attn_k", n, kFused, i, {width, width, 3 * width});
  const Value v = Part(c, "attn_v", n, kFused, i, {2 * width, width, 3 * width});
  AttentionSpec spec;
  spec.heads = spec.kv_heads = config.heads;
  spec.key_dim = spec.value_dim = width / config.heads;
  spec.scale = static_cast<float>(1 / std::sqrt(static_cast<double>(spec.key_dim)));
  spec.sees = v1::Attention::SEES_BIDIRECTIONAL;
  spec.window = config.local[i] ? config.reach + 1 : 0;
  const Value a = b.Attention("attention", b.Rope("q_rope", q, config.heads, rope),
                              b.Rope("k_rope", k, config.heads, rope), v, spec);
  return b.LinearOfHeads("attn_out", a, c->Matrix(kAttentionOut, i, width, width),
                         c->Bias(kAttentionOut, i, width, c->Has(kAttentionOut, ".bias", i)),
                         config.heads);
}

Value AddFeedForward(Compilation* c, const Config& config, std::uint32_t i, Value x) {
  const std::uint32_t inner = config.inner;
  const Value n = Norm(c, "ffn_norm", x, kFeedNorm, i, config.epsilon);
  const Value gate = Part(c, "ffn_gate", n, kGateAndUp, i, {0, inner, 2 * inner});
  const Value up = Part(c, "ffn_up", n, kGateAndUp, i, {inner, inner, 2 * inner});
  const Value f = c->builder.Gate("ffn_act", gate, up, config.function);
  return Part(c, "ffn_down", f, kDown, i, AllRows(config.width));
}

}  // namespace

Status CompileModernBert(Compilation* c) {
  if (!c->is_hf()) return Unimplemented("encoders are read from Hugging Face folders only");
  c->FindPrefix({"", "model."}, "embeddings.tok_embeddings.weight");
  Fields fields(c->files, FamilyName(c->files), "");
  const Config config = ReadConfig(&fields, c);
  RETURN_IF_ERROR(fields.status());
  RETURN_IF_ERROR(ReadVocabulary(&fields, kTokens, config.width, c));
  c->layers = config.layers;
  RETURN_IF_ERROR(ChooseContext(c, c->trained_context));
  ASSIGN_OR_RETURN(const Pooling pooling, ReadPooling(c->files));

  ProgramBuilder& b = c->builder;
  b.BeginBlock("embed");
  const Value tokens = b.Embed("tokens", c->Matrix(kTokens, 0, c->vocabulary_size, config.width),
                               v1::Embed::SOURCE_ID);
  b.Output(Norm(c, "embed_norm", tokens, kEmbeddingNorm, 0, config.epsilon));
  const RopeWeights global = b.KeepRotation("rope", v1::Rope::STYLE_HALF, config.global_rotation);
  const RopeWeights local =
      b.KeepRotation("rope.local", v1::Rope::STYLE_HALF, config.local_rotation);
  for (std::uint32_t i = 0; i < config.layers && c->weights.status().ok(); ++i) {
    b.BeginBlock("layer." + std::to_string(i));
    const Value x = b.Input();
    const Value h =
        b.Add("attn_add", x, AddAttention(c, config, i, config.local[i] ? local : global, x));
    b.Output(b.Add("ffn_add", h, AddFeedForward(c, config, i, h)));
  }
  b.BeginBlock("head");
  const Value x = Norm(c, "norm", b.Input(), kFinalNorm, 0, config.epsilon);
  b.Answer("hidden", b.GatherOutputs("outputs", x), v1::RESULT_KIND_HIDDEN);
  b.Answer("embedding", AddPooling(&b, pooling, x), v1::RESULT_KIND_EMBEDDING);
  return c->weights.status();
}

}  // namespace bramble::model::families
