// GPT-2: learned positions, layer norms, biases everywhere, a fused matrix for q, k and v, which
// lies transposed in Hugging Face files.
#include <cmath>
#include <string>

#include "model/families/table.h"

namespace bramble::model::families {
namespace {

constexpr TensorName kEmbedding = {"token_embd", "wte"};
constexpr TensorName kPositions = {"position_embd", "wpe"};
constexpr TensorName kAttentionNorm = {"blk.#.attn_norm", "h.#.ln_1"};
constexpr TensorName kFused = {"blk.#.attn_qkv", "h.#.attn.c_attn"};
constexpr TensorName kAttentionOut = {"blk.#.attn_output", "h.#.attn.c_proj"};
constexpr TensorName kFeedNorm = {"blk.#.ffn_norm", "h.#.ln_2"};
constexpr TensorName kUp = {"blk.#.ffn_up", "h.#.mlp.c_fc"};
constexpr TensorName kDown = {"blk.#.ffn_down", "h.#.mlp.c_proj"};
constexpr TensorName kFinalNorm = {"output_norm", "ln_f"};
constexpr TensorName kHead = {"output", "lm_head"};

struct Config {
  std::uint32_t width = 0;
  std::uint32_t layers = 0;
  std::uint32_t heads = 0;
  std::uint32_t inner = 0;
  float epsilon = 0;
  bool scaled = true;            // scores, by 1 / sqrt(head_dim)
  bool scaled_by_layer = false;  // and by 1 / (layer + 1)
  bool tied = true;
  v1::Function function = v1::FUNCTION_GELU_TANH;
};

Config ReadConfig(Fields* f, Compilation* c) {
  // The defaults are those of transformers' GPT2Config.
  Config config;
  RefuseStrangers(f, c->files);
  config.width = f->CountOrHfDefault({"embedding_length", "n_embd"}, 1, kMostWidth / 4, 768);
  config.layers = f->CountOrHfDefault({"block_count", "n_layer"}, 1, kMostLayers, 12);
  config.heads = f->CountOrHfDefault({"attention.head_count", "n_head"}, 1, kMostHeads, 12);
  config.inner =
      f->CountOrHfDefault({"feed_forward_length", "n_inner"}, 1, kMostWidth, 4 * config.width);
  config.epsilon = static_cast<float>(
      f->RealOrHfDefault({"attention.layer_norm_epsilon", "layer_norm_epsilon"}, 0, 1, 1e-5));
  c->trained_context =
      f->CountOrHfDefault({"context_length", "n_positions"}, 1, kMostPositions, 1024);
  config.scaled = f->Flag({"", "scale_attn_weights"}, true);
  config.scaled_by_layer = f->Flag({"", "scale_attn_by_inverse_layer_idx"}, false);
  config.tied = c->is_hf() ? f->Flag({"", "tie_word_embeddings"}, true) : !c->HasHead(kHead);
  config.function = ReadFunction(f, {"", "activation_function"}, "gelu_new");
  if (config.width % config.heads != 0) {
    f->Refuse(
        Invalid("the width ", config.width, " is no multiple of the ", config.heads, " heads"));
  }
  if (f->Flag({"", "add_cross_attention"}, false)) {
    f->Refuse(Unimplemented(f->Place({"", "add_cross_attention"}),
                            ": cross-attention cannot be compiled yet"));
  }
  return config;
}

// A matrix with its bias. `rows`: which outputs of it.
Value Linear(Compilation* c, std::string_view name, Value x, TensorName tensor, std::uint32_t layer,
             RowRange rows) {
  const Layout layout = c->is_hf() ? Layout::kInputsByOutputs : Layout::kOutputsByInputs;
  const WeightRef matrix =
      c->weights.Matrix(c->Name(tensor, ".weight", layer), rows, x.width, layout);
  const WeightRef bias = c->weights.Vector(c->Name(tensor, ".bias", layer), rows);
  return c->builder.Linear(name, x, matrix, bias);
}

Value Norm(Compilation* c, std::string_view name, Value x, TensorName tensor, std::uint32_t layer,
           float epsilon) {
  const WeightRef gain = c->Vector(tensor, ".weight", layer, x.width);
  return c->builder.LayerNorm(name, x, epsilon, gain, c->Vector(tensor, ".bias", layer, x.width));
}

Value AddAttention(Compilation* c, const Config& config, std::uint32_t i, Value x) {
  ProgramBuilder& b = c->builder;
  const std::uint32_t width = config.width;
  const Value n = Norm(c, "attn_norm", x, kAttentionNorm, i, config.epsilon);
  const Value q = Linear(c, "attn_q", n, kFused, i, {0, width, 3 * width});
  const Value k = Linear(c, "attn_k", n, kFused, i, {width, width, 3 * width});
  const Value v = Linear(c, "attn_v", n, kFused, i, {2 * width, width, 3 * width});
  const std::uint32_t head_dim = width / config.heads;
  double scale = config.scaled ? 1 / std::sqrt(static_cast<double>(head_dim)) : 1;
  if (config.scaled_by_layer) scale /= i + 1;
  const Value a = b.Attention(
      "attention", q, k, v,
      {config.heads, config.heads, head_dim, head_dim, 0, static_cast<float>(scale), 0});
  const Layout layout = c->is_hf() ? Layout::kInputsByOutputs : Layout::kOutputsByInputs;
  const WeightRef matrix =
      c->weights.Matrix(c->Name(kAttentionOut, ".weight", i), AllRows(width), width, layout);
  return b.LinearOfHeads("attn_out", a, matrix, c->Vector(kAttentionOut, ".bias", i, width),
                         config.heads);
}

Value AddFeedForward(Compilation* c, const Config& config, std::uint32_t i, Value x) {
  const Value n = Norm(c, "ffn_norm", x, kFeedNorm, i, config.epsilon);
  const Value up = Linear(c, "ffn_up", n, kUp, i, AllRows(config.inner));
  const Value f = c->builder.Activate("ffn_act", up, config.function);
  return Linear(c, "ffn_down", f, kDown, i, AllRows(config.width));
}

}  // namespace

Status CompileGpt2(Compilation* c) {
  c->FindPrefix({"transformer.", ""}, "wte.weight");
  Fields fields(c->files, FamilyName(c->files), "");
  const Config config = ReadConfig(&fields, c);
  ASSIGN_OR_RETURN(const WeightRef table,
                   BeginDecoder(&fields, {kEmbedding, config.width, config.layers, 0}, c));
  ProgramBuilder& b = c->builder;
  const WeightRef positions = c->Matrix(kPositions, 0, c->trained_context, config.width);
  const Value tokens = b.Embed("tokens", table, v1::Embed::SOURCE_ID);
  b.Output(b.Add("embed_add", tokens, b.Embed("positions", positions, v1::Embed::SOURCE_POSITION)));
  for (std::uint32_t i = 0; i < config.layers && c->weights.status().ok(); ++i) {
    b.BeginBlock("layer." + std::to_string(i));
    const Value x = b.Input();
    const Value h = b.Add("attn_add", x, AddAttention(c, config, i, x));
    b.Output(b.Add("ffn_add", h, AddFeedForward(c, config, i, h)));
  }
  b.BeginBlock("head");
  const Value x = b.GatherOutputs("outputs", b.Input());
  const Value n = Norm(c, "norm", x, kFinalNorm, 0, config.epsilon);
  const WeightRef head = c->Head(kHead, config.tied, table, config.width);
  b.Sample("sample", b.Linear("output", n, head));
  return c->weights.status();
}

}  // namespace bramble::model::families
