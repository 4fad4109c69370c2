// Gemma 3: norms in front of and behind each branch, norms of the heads of q and k, five layers
// with a window and a rotary base of their own for each layer that sees everything, embeddings
// scaled by the root of the width.
#include <cmath>
#include <string>
#include <vector>

#include "model/families/table.h"
#include "model/files/quote.h"

namespace bramble::model::families {
namespace {

constexpr TensorName kEmbedding = {"token_embd", "embed_tokens"};
constexpr TensorName kAttentionNorm = {"blk.#.attn_norm", "layers.#.input_layernorm"};
constexpr TensorName kQuery = {"blk.#.attn_q", "layers.#.self_attn.q_proj"};
constexpr TensorName kKey = {"blk.#.attn_k", "layers.#.self_attn.k_proj"};
constexpr TensorName kValue = {"blk.#.attn_v", "layers.#.self_attn.v_proj"};
constexpr TensorName kQueryNorm = {"blk.#.attn_q_norm", "layers.#.self_attn.q_norm"};
constexpr TensorName kKeyNorm = {"blk.#.attn_k_norm", "layers.#.self_attn.k_norm"};
constexpr TensorName kAttentionOut = {"blk.#.attn_output", "layers.#.self_attn.o_proj"};
constexpr TensorName kAfterAttention = {"blk.#.post_attention_norm",
                                        "layers.#.post_attention_layernorm"};
constexpr TensorName kFeedNorm = {"blk.#.ffn_norm", "layers.#.pre_feedforward_layernorm"};
constexpr TensorName kGate = {"blk.#.ffn_gate", "layers.#.mlp.gate_proj"};
constexpr TensorName kUp = {"blk.#.ffn_up", "layers.#.mlp.up_proj"};
constexpr TensorName kDown = {"blk.#.ffn_down", "layers.#.mlp.down_proj"};
constexpr TensorName kAfterFeed = {"blk.#.post_ffw_norm", "layers.#.post_feedforward_layernorm"};
constexpr TensorName kFinalNorm = {"output_norm", "norm"};
constexpr TensorName kHead = {"output", "lm_head"};

constexpr double kGlobalBase = 1e6;
constexpr double kLocalBase = 1e4;
constexpr std::uint32_t kLayersPerGlobal = 6;
// GGUF files do not say how queries are scaled. By the head's size, but for the one model with so
// many layers (27B), where it is width / heads.
constexpr std::uint32_t kLayersOf27B = 62;

struct Config {
  std::uint32_t width = 0;
  std::uint32_t layers = 0;
  std::uint32_t heads = 0;
  std::uint32_t kv_heads = 0;
  std::uint32_t head_dim = 0;
  std::uint32_t inner = 0;
  float epsilon = 0;
  float scale = 0;      // of scores
  float score_cap = 0;  // 0: none
  float logit_cap = 0;  // 0: none
  bool bias = false;
  bool tied = true;
  v1::Function function = v1::FUNCTION_GELU_TANH;
  std::uint32_t window = 0;
  std::vector<bool> local;  // by layer: sees only the window
  Rotation global_rotation;
  Rotation local_rotation;
};

// Files of Hugging Face hold the norms' weights less 1.
float NormOffset(const Compilation& c) { return c.is_hf() ? 1.0f : 0.0f; }

std::vector<bool> ReadLocalLayers(Fields* f, std::uint32_t layers) {
  std::vector<bool> local = ReadSlidingLayers(f, layers);
  if (!local.empty()) return local;
  local.resize(layers);
  constexpr Key kPattern = {"attention.sliding_window_pattern", "sliding_window_pattern"};
  const files::MetaValue* value = f->Find(kPattern);
  if (value != nullptr && value->IsList()) {
    const auto flags = value->Numbers(kMostLayers);
    if (!flags.ok() || flags->size() != layers) {
      f->Refuse(Invalid(f->Place(kPattern), " must be a list of ", layers, " flags"));
      return local;
    }
    for (std::uint32_t i = 0; i < layers; ++i) local[i] = (*flags)[i] != 0;
    return local;
  }
  const std::uint32_t old_name =
      f->Count({"", "_sliding_window_pattern"}, 1, kMostLayers, kLayersPerGlobal);
  const std::uint32_t period = f->Count(kPattern, 1, kMostLayers, old_name);
  for (std::uint32_t i = 0; i < layers; ++i) local[i] = (i + 1) % period != 0;
  return local;
}

void ReadRotations(Fields* f, std::uint32_t context_length, Config* config) {
  config->global_rotation =
      ReadRotation(f, "full_attention", config->head_dim, kGlobalBase, context_length);
  if (f->Has({"", "rope_parameters.sliding_attention.rope_theta"})) {
    config->local_rotation =
        ReadRotation(f, "sliding_attention", config->head_dim, kLocalBase, context_length);
    return;
  }
  const double base = f->Real({"rope.freq_base_swa", "rope_local_base_freq"}, 1, 1e15, kLocalBase);
  config->local_rotation.frequencies = RopeFrequencies(base, config->head_dim, {});
}

void ReadAttention(Fields* f, std::uint32_t context_length, Config* config) {
  config->heads =
      f->CountOrHfDefault({"attention.head_count", "num_attention_heads"}, 1, kMostHeads, 8);
  config->kv_heads = f->Count({"attention.head_count_kv", "num_key_value_heads"}, 1, kMostHeads,
                              f->is_hf() ? 4 : config->heads);
  config->head_dim = f->Count({"attention.key_length", "head_dim"}, 1, kMostHeadDim, 256);
  const std::uint32_t value_dim =
      f->Count({"attention.value_length", "head_dim"}, 1, kMostHeadDim, config->head_dim);
  if (config->heads % config->kv_heads != 0) {
    f->Refuse(
        Invalid(config->heads, " heads are no multiple of ", config->kv_heads, " key-value heads"));
  }
  if (config->head_dim % 2 != 0 || value_dim != config->head_dim) {
    f->Refuse(Invalid("heads of ", config->head_dim, " and ", value_dim,
                      " numbers; they must be equal and even"));
  }
  const double by_size = config->layers == kLayersOf27B && !f->is_hf()
                             ? static_cast<double>(config->width) / config->heads
                             : config->head_dim;
  const double scalar =
      f->Real({"", "query_pre_attn_scalar"}, 0, kMostWidth, f->is_hf() ? 256 : by_size);
  config->scale = static_cast<float>(1 / std::sqrt(scalar));
  config->window = f->Count({"attention.sliding_window", "sliding_window"}, 0, kMostPositions,
                            f->is_hf() ? 4096 : 0);
  config->local = ReadLocalLayers(f, config->layers);
  if (config->window == 0) config->local.assign(config->layers, false);
  if (f->Flag({"", "use_bidirectional_attention"}, false)) {
    f->Refuse(Unimplemented(f->Place({"", "use_bidirectional_attention"}),
                            ": embedding models cannot be compiled yet"));
  }
  ReadRotations(f, context_length, config);
}

Config ReadConfig(Fields* f, Compilation* c) {
  // The defaults are those of transformers' Gemma3TextConfig: published files leave them out.
  Config config;
  RefuseStrangers(f, c->files);
  config.width = f->CountOrHfDefault({"embedding_length", "hidden_size"}, 1, kMostWidth, 2304);
  config.layers = f->CountOrHfDefault({"block_count", "num_hidden_layers"}, 1, kMostLayers, 26);
  config.inner =
      f->CountOrHfDefault({"feed_forward_length", "intermediate_size"}, 1, kMostWidth, 9216);
  config.epsilon = static_cast<float>(
      f->RealOrHfDefault({"attention.layer_norm_rms_epsilon", "rms_norm_eps"}, 0, 1, 1e-6));
  c->trained_context =
      f->CountOrHfDefault({"context_length", "max_position_embeddings"}, 1, kMostPositions, 131072);
  config.score_cap = static_cast<float>(
      f->OptionalReal({"attn_logit_softcapping", "attn_logit_softcapping"}, 1e6));
  config.logit_cap = static_cast<float>(
      f->OptionalReal({"final_logit_softcapping", "final_logit_softcapping"}, 1e6));
  config.bias = f->Flag({"", "attention_bias"}, false);
  config.tied = c->is_hf() ? f->Flag({"", "tie_word_embeddings"}, true) : !c->HasHead(kHead);
  config.function = ReadFunction(f, {"", "hidden_activation"}, "gelu_pytorch_tanh");
  ReadAttention(f, c->trained_context, &config);
  return config;
}

struct Layer {
  const Config& config;
  std::uint32_t number;
  const RopeWeights& rope;
  std::uint32_t window;
};

// A norm of one of the layer's own weights.
Value Norm(Compilation* c, const Layer& layer, std::string_view name, Value x, TensorName tensor) {
  const WeightRef gain =
      c->Vector(tensor, ".weight", layer.number, layer.config.width, NormOffset(*c));
  return c->builder.RmsNorm(name, x, layer.config.epsilon, gain);
}

// q or k: the matrix, the norm of each head, the rotation.
Value AddHeads(Compilation* c, const Layer& layer, std::string_view name, Value x,
               TensorName matrix, TensorName norm, std::uint32_t heads) {
  const auto& [config, i, rope, window] = layer;
  ProgramBuilder& b = c->builder;
  const std::string letter(name);
  const std::uint32_t width = heads * config.head_dim;
  const Value y = b.Linear("attn_" + letter, x, c->Matrix(matrix, i, width, config.width),
                           c->Bias(matrix, i, width, config.bias));
  const WeightRef gain = c->Vector(norm, ".weight", i, config.head_dim, NormOffset(*c));
  return b.Rope(letter + "_rope", b.RmsNorm(letter + "_norm", y, config.epsilon, gain, heads),
                heads, rope);
}

Value AddAttention(Compilation* c, const Layer& layer, Value x) {
  const auto& [config, i, rope, window] = layer;
  ProgramBuilder& b = c->builder;
  const Value n = Norm(c, layer, "attn_norm", x, kAttentionNorm);
  const Value q = AddHeads(c, layer, "q", n, kQuery, kQueryNorm, config.heads);
  const Value k = AddHeads(c, layer, "k", n, kKey, kKeyNorm, config.kv_heads);
  const std::uint32_t v_width = config.kv_heads * config.head_dim;
  const Value v = b.Linear("attn_v", n, c->Matrix(kValue, i, v_width, config.width),
                           c->Bias(kValue, i, v_width, config.bias));
  const Value a = b.Attention("attention", q, k, v,
                              {config.heads, config.kv_heads, config.head_dim, config.head_dim,
                               window, config.scale, config.score_cap});
  const Value o =
      b.LinearOfHeads("attn_out", a, c->Matrix(kAttentionOut, i, config.width, a.width),
                      c->Bias(kAttentionOut, i, config.width, config.bias), config.kv_heads);
  return Norm(c, layer, "attn_post_norm", o, kAfterAttention);
}

Value AddFeedForward(Compilation* c, const Layer& layer, Value x) {
  const Config& config = layer.config;
  const std::uint32_t i = layer.number;
  ProgramBuilder& b = c->builder;
  const Value n = Norm(c, layer, "ffn_norm", x, kFeedNorm);
  const Value gate = b.Linear("ffn_gate", n, c->Matrix(kGate, i, config.inner, config.width));
  const Value up = b.Linear("ffn_up", n, c->Matrix(kUp, i, config.inner, config.width));
  const Value f = b.Gate("ffn_act", gate, up, config.function);
  const Value down = b.Linear("ffn_down", f, c->Matrix(kDown, i, config.width, config.inner));
  return Norm(c, layer, "ffn_post_norm", down, kAfterFeed);
}

void AddHead(Compilation* c, const Config& config, WeightRef table) {
  ProgramBuilder& b = c->builder;
  b.BeginBlock("head");
  const Value x = b.GatherOutputs("outputs", b.Input());
  const Value n = b.RmsNorm("norm", x, config.epsilon,
                            c->Vector(kFinalNorm, ".weight", 0, config.width, NormOffset(*c)));
  const WeightRef head = c->Head(kHead, config.tied, table, config.width);
  Value logits = b.Linear("output", n, head);
  if (config.logit_cap > 0) logits = b.SoftCap("logit_cap", logits, config.logit_cap);
  b.Sample("sample", logits);
}

}  // namespace

Status CompileGemma3(Compilation* c) {
  c->FindPrefix({"model.", "", "language_model.model.", "model.language_model."},
                "embed_tokens.weight");
  const bool nested = FamilyName(c->files) == "gemma3" && c->is_hf();
  Fields fields(c->files, FamilyName(c->files), nested ? "text_config." : "");
  const Config config = ReadConfig(&fields, c);
  ASSIGN_OR_RETURN(const WeightRef table, BeginDecoder(&fields,
                                                       {kEmbedding, config.width, config.layers,
                                                        config.global_rotation.most_positions},
                                                       c));
  ProgramBuilder& b = c->builder;
  const auto root = static_cast<float>(std::sqrt(static_cast<double>(config.width)));
  b.Output(b.Scale("embed_scale", b.Embed("tokens", table, v1::Embed::SOURCE_ID), root));
  const RopeWeights global = b.KeepRotation("rope", v1::Rope::STYLE_HALF, config.global_rotation);
  const RopeWeights local =
      b.KeepRotation("rope_local", v1::Rope::STYLE_HALF, config.local_rotation);
  for (std::uint32_t i = 0; i < config.layers && c->weights.status().ok(); ++i) {
    const bool is_local = config.local[i];
    const Layer layer{config, i, is_local ? local : global, is_local ? config.window : 0};
    b.BeginBlock("layer." + std::to_string(i));
    const Value x = b.Input();
    const Value h = b.Add("attn_add", x, AddAttention(c, layer, x));
    b.Output(b.Add("ffn_add", h, AddFeedForward(c, layer, h)));
  }
  AddHead(c, config, table);
  return c->weights.status();
}

}  // namespace bramble::model::families
