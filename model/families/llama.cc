// The Llama graph, and the families that differ from it by an attribute: grouped-query attention
// with rotary positions, RMS norms in front of each branch, a gated feed-forward network.
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
constexpr TensorName kFeedNorm = {"blk.#.ffn_norm", "layers.#.post_attention_layernorm"};
constexpr TensorName kGate = {"blk.#.ffn_gate", "layers.#.mlp.gate_proj"};
constexpr TensorName kUp = {"blk.#.ffn_up", "layers.#.mlp.up_proj"};
constexpr TensorName kDown = {"blk.#.ffn_down", "layers.#.mlp.down_proj"};
constexpr TensorName kFinalNorm = {"output_norm", "norm"};
constexpr TensorName kHead = {"output", "lm_head"};
constexpr std::string_view kRopeDivisors = "rope_freqs.weight";

// When config.json's `sliding_window` is obeyed.
enum class Windows : std::uint8_t { kNever, kUnlessSwitchedOff, kIfSwitchedOn };

// What tells the families apart.
struct Variant {
  v1::Rope::Style gguf_rope = v1::Rope::STYLE_HALF;  // Hugging Face files rotate halves
  bool always_query_bias = false;  // q, k and v have biases, whatever config.json says
  bool head_norms = false;         // RMS norms of each head of q and k
  Windows windows = Windows::kNever;
  std::uint32_t first_window = 0;  // the first layer with one, unless config.json says
  bool some_without_rope = false;  // every fourth layer is not rotated
  bool tied = false;               // unless config.json says
  double rope_base = 10000;        // unless the file says
};

struct Config {
  std::uint32_t width = 0;
  std::uint32_t layers = 0;
  std::uint32_t heads = 0;
  std::uint32_t kv_heads = 0;
  std::uint32_t key_dim = 0;
  std::uint32_t value_dim = 0;
  std::uint32_t inner = 0;
  float epsilon = 0;
  bool attention_bias = false;
  bool output_bias = false;
  bool feed_bias = false;
  bool tied = false;
  bool turns_neighbours = false;  // Hugging Face's own files never do; Meta's do
  v1::Function function = v1::FUNCTION_SILU;
  Rotation rotation;
  std::vector<std::uint32_t> windows;  // by layer; 0: sees everything
  std::vector<bool> rotated;           // by layer
};

void ReadHeads(Fields* f, Config* config) {
  config->heads = f->Count({"attention.head_count", "num_attention_heads"}, 1, kMostHeads);
  config->kv_heads =
      f->Count({"attention.head_count_kv", "num_key_value_heads"}, 1, kMostHeads, config->heads);
  const bool has_head_dim = f->Has({"attention.key_length", "head_dim"});
  if (!has_head_dim && config->width % config->heads != 0) {
    f->Refuse(
        Invalid("the width ", config->width, " is no multiple of the ", config->heads, " heads"));
  }
  config->key_dim = f->Count({"attention.key_length", "head_dim"}, 1, kMostHeadDim,
                             config->width / config->heads);
  config->value_dim =
      f->Count({"attention.value_length", "head_dim"}, 1, kMostHeadDim, config->key_dim);
  if (config->heads % config->kv_heads != 0) {
    f->Refuse(
        Invalid(config->heads, " heads are no multiple of ", config->kv_heads, " key-value heads"));
  }
}

// Which layers see only a window, and how far. GGUF files of these families have none.
void ReadWindows(Fields* f, const Variant& variant, Config* config) {
  config->windows.assign(config->layers, 0);
  const bool unless_off = variant.windows == Windows::kUnlessSwitchedOff;
  if (variant.windows == Windows::kNever || !f->Flag({"", "use_sliding_window"}, unless_off))
    return;
  const std::uint32_t window = f->Count({"", "sliding_window"}, 1, kMostPositions, 0);
  const std::uint32_t first =
      f->Count({"", "max_window_layers"}, 0, kMostPositions, variant.first_window);
  const std::vector<bool> sliding = ReadSlidingLayers(f, config->layers);
  for (std::uint32_t i = 0; i < config->layers; ++i) {
    if (sliding.empty() ? i >= first : sliding[i]) config->windows[i] = window;
  }
}

// SmolLM3: where `no_rope_layers` has a 0; without that list every fourth layer.
void ReadRotatedLayers(Fields* f, const Variant& variant, Config* config) {
  config->rotated.assign(config->layers, true);
  if (!variant.some_without_rope) return;
  const files::MetaValue* list = f->Find({"", "no_rope_layers"});
  if (list == nullptr) {
    const std::uint32_t interval = f->Count({"", "no_rope_layer_interval"}, 1, kMostLayers, 4);
    for (std::uint32_t i = 0; i < config->layers; ++i) config->rotated[i] = (i + 1) % interval != 0;
    return;
  }
  const auto flags = list->Numbers(kMostLayers);
  if (!flags.ok() || flags->size() != config->layers) {
    f->Refuse(Invalid(f->Place({"", "no_rope_layers"}), " must be a list of ", config->layers,
                      " numbers"));
    return;
  }
  for (std::uint32_t i = 0; i < config->layers; ++i) config->rotated[i] = (*flags)[i] != 0;
}

Config ReadConfig(Fields* f, const Variant& variant, Compilation* c) {
  Config config;
  RefuseStrangers(f, c->files);
  config.width = f->Count({"embedding_length", "hidden_size"}, 1, kMostWidth);
  config.layers = f->Count({"block_count", "num_hidden_layers"}, 1, kMostLayers);
  config.inner = f->Count({"feed_forward_length", "intermediate_size"}, 1, kMostWidth);
  config.epsilon = static_cast<float>(
      f->RealOrHfDefault({"attention.layer_norm_rms_epsilon", "rms_norm_eps"}, 0, 1, 1e-6));
  c->trained_context =
      f->CountOrHfDefault({"context_length", "max_position_embeddings"}, 1, kMostPositions, 2048);
  ReadHeads(f, &config);
  config.output_bias = f->Flag({"", "attention_bias"}, false);
  config.attention_bias = config.output_bias || variant.always_query_bias;
  if (variant.always_query_bias) config.output_bias = false;
  config.feed_bias = f->Flag({"", "mlp_bias"}, false);
  config.tied =
      c->is_hf() ? f->Flag({"", "tie_word_embeddings"}, variant.tied) : !c->HasHead(kHead);
  config.function = ReadFunction(f, {"", "hidden_act"}, "silu");
  config.turns_neighbours = f->Flag({"", "rope_interleave"}, false);
  const std::uint32_t dims = ReadRotatedDims(f, "partial_rotary_factor", config.key_dim, 1);
  config.rotation = ReadRotation(f, "full_attention", dims, variant.rope_base, c->trained_context);
  ReadWindows(f, variant, &config);
  ReadRotatedLayers(f, variant, &config);
  return config;
}

// GGUF keeps Llama 3's scaling as a tensor of divisors.
void DivideFrequencies(Weights* weights, std::vector<float>* frequencies) {
  if (!weights->Has(kRopeDivisors)) return;
  const auto divisors =
      weights->Read(kRopeDivisors, static_cast<std::uint32_t>(frequencies->size()));
  for (std::size_t i = 0; i < divisors.size(); ++i) {
    if (!(divisors[i] > 0) || !std::isfinite(divisors[i])) {
      weights->Refuse(
          Invalid("tensor ", files::Quote(kRopeDivisors), " has a value that is not above 0"));
      return;
    }
    (*frequencies)[i] /= divisors[i];
  }
}

struct Layer {
  const Config& config;
  const Variant& variant;
  std::uint32_t number;
  const RopeWeights& rope;
};

Value AddAttention(Compilation* c, const Layer& layer, Value x) {
  const auto& [config, variant, i, rope] = layer;
  ProgramBuilder& b = c->builder;
  const std::uint32_t q_width = config.heads * config.key_dim;
  const std::uint32_t k_width = config.kv_heads * config.key_dim;
  const std::uint32_t v_width = config.kv_heads * config.value_dim;
  const std::uint32_t o_width = config.heads * config.value_dim;
  const Value n = b.RmsNorm("attn_norm", x, config.epsilon,
                            c->Vector(kAttentionNorm, ".weight", i, config.width));
  Value q = b.Linear("attn_q", n, c->Matrix(kQuery, i, q_width, config.width),
                     c->Bias(kQuery, i, q_width, config.attention_bias));
  Value k = b.Linear("attn_k", n, c->Matrix(kKey, i, k_width, config.width),
                     c->Bias(kKey, i, k_width, config.attention_bias));
  const Value v = b.Linear("attn_v", n, c->Matrix(kValue, i, v_width, config.width),
                           c->Bias(kValue, i, v_width, config.attention_bias));
  if (variant.head_norms) {
    q = b.RmsNorm("q_norm", q, config.epsilon, c->Vector(kQueryNorm, ".weight", i, config.key_dim),
                  config.heads);
    k = b.RmsNorm("k_norm", k, config.epsilon, c->Vector(kKeyNorm, ".weight", i, config.key_dim),
                  config.kv_heads);
  }
  if (config.rotated[i]) {
    q = b.Rope("q_rope", q, config.heads, rope);
    k = b.Rope("k_rope", k, config.kv_heads, rope);
  }
  const auto scale = static_cast<float>(1 / std::sqrt(static_cast<double>(config.key_dim)));
  const Value a = b.Attention("attention", q, k, v,
                              {config.heads, config.kv_heads, config.key_dim, config.value_dim,
                               config.windows[i], scale, 0});
  return b.LinearOfHeads("attn_out", a, c->Matrix(kAttentionOut, i, config.width, o_width),
                         c->Bias(kAttentionOut, i, config.width, config.output_bias),
                         config.kv_heads);
}

Value AddFeedForward(Compilation* c, const Layer& layer, Value x) {
  const auto& [config, variant, i, rope] = layer;
  ProgramBuilder& b = c->builder;
  const Value n =
      b.RmsNorm("ffn_norm", x, config.epsilon, c->Vector(kFeedNorm, ".weight", i, config.width));
  const Value gate = b.Linear("ffn_gate", n, c->Matrix(kGate, i, config.inner, config.width),
                              c->Bias(kGate, i, config.inner, config.feed_bias));
  const Value up = b.Linear("ffn_up", n, c->Matrix(kUp, i, config.inner, config.width),
                            c->Bias(kUp, i, config.inner, config.feed_bias));
  const Value f = b.Gate("ffn_act", gate, up, config.function);
  return b.Linear("ffn_down", f, c->Matrix(kDown, i, config.width, config.inner),
                  c->Bias(kDown, i, config.width, config.feed_bias));
}

void AddHead(Compilation* c, const Config& config, WeightRef table) {
  ProgramBuilder& b = c->builder;
  b.BeginBlock("head");
  const Value x = b.GatherOutputs("outputs", b.Input());
  const Value n =
      b.RmsNorm("norm", x, config.epsilon, c->Vector(kFinalNorm, ".weight", 0, config.width));
  const WeightRef head = c->Head(kHead, config.tied, table, config.width);
  b.Sample("sample", b.Linear("output", n, head));
}

Status Compile(Compilation* c, const Variant& variant) {
  c->FindPrefix({"model.", "", "language_model.model.", "model.language_model."},
                "embed_tokens.weight");
  Fields fields(c->files, FamilyName(c->files), "");
  Config config = ReadConfig(&fields, variant, c);
  ASSIGN_OR_RETURN(
      const WeightRef table,
      BeginDecoder(&fields,
                   {kEmbedding, config.width, config.layers, config.rotation.most_positions}, c));
  ProgramBuilder& b = c->builder;
  b.Output(b.Embed("tokens", table, v1::Embed::SOURCE_ID));
  if (!c->is_hf()) DivideFrequencies(&c->weights, &config.rotation.frequencies);
  const v1::Rope::Style hf_rope =
      config.turns_neighbours ? v1::Rope::STYLE_PAIR : v1::Rope::STYLE_HALF;
  const v1::Rope::Style style = c->is_hf() ? hf_rope : variant.gguf_rope;
  const RopeWeights rope = b.KeepRotation("rope", style, config.rotation);
  for (std::uint32_t i = 0; i < config.layers && c->weights.status().ok(); ++i) {
    const Layer layer{config, variant, i, rope};
    b.BeginBlock("layer." + std::to_string(i));
    const Value x = b.Input();
    const Value h = b.Add("attn_add", x, AddAttention(c, layer, x));
    b.Output(b.Add("ffn_add", h, AddFeedForward(c, layer, h)));
  }
  AddHead(c, config, table);
  return c->weights.status();
}

}  // namespace

Status CompileLlama(Compilation* c) {
  // GGUF files of Mixtral name this family.
  const files::MetaValue* experts = files::FindValue(c->files.metadata, "llama.expert_count");
  if (!c->is_hf() && experts != nullptr && experts->Whole().value_or(0) > 0) {
    return CompileMixtral(c);
  }
  return Compile(c, {.gguf_rope = v1::Rope::STYLE_PAIR});
}

Status CompileMistral(Compilation* c) {
  return Compile(c, {.windows = Windows::kUnlessSwitchedOff});
}

Status CompileQwen2(Compilation* c) {
  return Compile(
      c, {.always_query_bias = true, .windows = Windows::kIfSwitchedOn, .first_window = 28});
}

Status CompileQwen3(Compilation* c) {
  return Compile(c, {.head_norms = true, .windows = Windows::kIfSwitchedOn, .first_window = 28});
}

Status CompileSmolLm3(Compilation* c) {
  return Compile(c, {.gguf_rope = v1::Rope::STYLE_PAIR,
                     .windows = Windows::kIfSwitchedOn,
                     .first_window = 28,
                     .some_without_rope = true,
                     .tied = true,
                     .rope_base = 2000000});
}

}  // namespace bramble::model::families
