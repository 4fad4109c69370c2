// LFM2: layers of gated short convolutions, and of attention with a norm of each head of q and k.
#include <cmath>
#include <string>
#include <vector>

#include "model/families/table.h"
#include "model/files/quote.h"

namespace bramble::model::families {
namespace {

constexpr TensorName kEmbedding = {"", "embed_tokens"};
constexpr TensorName kOperatorNorm = {"", "layers.#.operator_norm"};
constexpr TensorName kIn = {"", "layers.#.conv.in_proj"};
constexpr TensorName kTaps = {"", "layers.#.conv.conv"};
constexpr TensorName kOut = {"", "layers.#.conv.out_proj"};
constexpr TensorName kQuery = {"", "layers.#.self_attn.q_proj"};
constexpr TensorName kKey = {"", "layers.#.self_attn.k_proj"};
constexpr TensorName kValue = {"", "layers.#.self_attn.v_proj"};
constexpr TensorName kQueryNorm = {"", "layers.#.self_attn.q_layernorm"};
constexpr TensorName kKeyNorm = {"", "layers.#.self_attn.k_layernorm"};
constexpr TensorName kAttentionOut = {"", "layers.#.self_attn.out_proj"};
constexpr TensorName kFeedNorm = {"", "layers.#.ffn_norm"};
constexpr TensorName kGate = {"", "layers.#.feed_forward.w1"};
constexpr TensorName kDown = {"", "layers.#.feed_forward.w2"};
constexpr TensorName kUp = {"", "layers.#.feed_forward.w3"};
constexpr TensorName kFinalNorm = {"", "embedding_norm"};
constexpr TensorName kHead = {"", "lm_head"};

struct Config {
  std::uint32_t width = 0;
  std::uint32_t layers = 0;
  std::uint32_t heads = 0;
  std::uint32_t kv_heads = 0;
  std::uint32_t kernel = 0;
  float epsilon = 0;
  bool bias = false;              // of the convolutions and their projections
  std::vector<bool> convolution;  // by layer
  Rotation rotation;
};

// `layer_types`, or the older `full_attn_idxs`.
void ReadLayers(Fields* f, Config* config) {
  constexpr Key kTypes = {"", "layer_types"};
  constexpr Key kAttention = {"", "full_attn_idxs"};
  if (const files::MetaValue* list = f->Find(kTypes)) {
    const auto names = list->Texts(kMostLayers);
    for (const std::string_view name : names.ok() ? *names : std::vector<std::string_view>{}) {
      if (name != "conv" && name != "full_attention") {
        f->Refuse(Unimplemented(f->Place(kTypes), ": a layer of the kind ", files::Quote(name)));
      }
      config->convolution.push_back(name == "conv");
    }
  } else if (const files::MetaValue* indices = f->Find(kAttention)) {
    config->convolution.assign(config->layers, true);
    const auto numbers = indices->Numbers(kMostLayers);
    for (const double index : numbers.ok() ? *numbers : std::vector<double>{}) {
      if (index >= 0 && index < config->layers) {
        config->convolution[static_cast<std::size_t>(index)] = false;
      }
    }
  } else {
    config->convolution.assign(config->layers, false);
  }
  if (config->convolution.size() != config->layers) {
    f->Refuse(Invalid(f->Place(kTypes), " must be a list of ", config->layers, " texts"));
    config->convolution.resize(config->layers);
  }
}

Config ReadConfig(Fields* f, Compilation* c) {
  Config config;
  RefuseStrangers(f, c->files);
  config.width = f->Count({"", "hidden_size"}, 1, kMostWidth / 4);
  config.layers = f->Count({"", "num_hidden_layers"}, 1, kMostLayers);
  config.heads = f->Count({"", "num_attention_heads"}, 1, kMostHeads);
  config.kv_heads = f->Count({"", "num_key_value_heads"}, 1, kMostHeads, config.heads);
  config.kernel = f->CountOrHfDefault({"", "conv_L_cache"}, 2, 64, 3);
  config.bias = f->Flag({"", "conv_bias"}, false);
  config.epsilon = static_cast<float>(f->Real({"", "norm_eps"}, 0, 1, 1e-5));
  c->trained_context =
      f->CountOrHfDefault({"", "max_position_embeddings"}, 1, kMostPositions, 128000);
  ReadLayers(f, &config);
  if (config.width % (2 * config.heads) != 0 || config.heads % config.kv_heads != 0) {
    f->Refuse(Invalid("the width ", config.width, ", ", config.heads, " heads and ",
                      config.kv_heads, " key-value heads do not fit together"));
    return config;
  }
  config.rotation =
      ReadRotation(f, "full_attention", config.width / config.heads, 1000000, c->trained_context);
  return config;
}

Value Part(Compilation* c, std::string_view name, Value x, TensorName tensor, std::uint32_t i,
           RowRange rows, bool bias) {
  std::optional<WeightRef> vector;
  if (bias) vector = c->weights.Vector(c->Name(tensor, ".bias", i), rows);
  return c->builder.Linear(name, x, c->weights.Matrix(c->Name(tensor, ".weight", i), rows, x.width),
                           vector);
}

Value AddConvolution(Compilation* c, const Config& config, std::uint32_t i, Value n) {
  ProgramBuilder& b = c->builder;
  const std::uint32_t width = config.width;
  const Value before = Part(c, "gate_in", n, kIn, i, {0, width, 3 * width}, config.bias);
  const Value after = Part(c, "gate_out", n, kIn, i, {width, width, 3 * width}, config.bias);
  const Value in = Part(c, "in", n, kIn, i, {2 * width, width, 3 * width}, config.bias);
  const WeightRef taps =
      c->weights.Floats(c->Name(kTaps, ".weight", i), width, config.kernel, Made::kTransposed);
  std::optional<WeightRef> bias;
  if (config.bias) bias = c->Vector(kTaps, ".bias", i, width);
  const Value y = b.Convolution("conv", b.Multiply("gated_in", before, in), taps, bias);
  return Part(c, "out", b.Multiply("gated_out", after, y), kOut, i, AllRows(width), config.bias);
}

Value AddAttention(Compilation* c, const Config& config, std::uint32_t i, const RopeWeights& rope,
                   Value n) {
  ProgramBuilder& b = c->builder;
  const std::uint32_t dims = config.width / config.heads;
  const std::uint32_t kv_width = config.kv_heads * dims;
  Value q = Part(c, "attn_q", n, kQuery, i, AllRows(config.width), false);
  Value k = Part(c, "attn_k", n, kKey, i, AllRows(kv_width), false);
  const Value v = Part(c, "attn_v", n, kValue, i, AllRows(kv_width), false);
  q = b.RmsNorm("q_norm", q, config.epsilon, c->Vector(kQueryNorm, ".weight", i, dims),
                config.heads);
  k = b.RmsNorm("k_norm", k, config.epsilon, c->Vector(kKeyNorm, ".weight", i, dims),
                config.kv_heads);
  AttentionSpec spec;
  spec.heads = config.heads;
  spec.kv_heads = config.kv_heads;
  spec.key_dim = spec.value_dim = dims;
  spec.scale = static_cast<float>(1 / std::sqrt(static_cast<double>(dims)));
  const Value a = b.Attention("attention", b.Rope("q_rope", q, config.heads, rope),
                              b.Rope("k_rope", k, config.kv_heads, rope), v, spec);
  return b.LinearOfHeads("attn_out", a, c->Matrix(kAttentionOut, i, config.width, config.width), {},
                         config.kv_heads);
}

Value AddFeedForward(Compilation* c, const Config& config, std::uint32_t i, Value x) {
  ProgramBuilder& b = c->builder;
  const Value n =
      b.RmsNorm("ffn_norm", x, config.epsilon, c->Vector(kFeedNorm, ".weight", i, config.width));
  // config.json has rules for the inner width; the file has the width itself.
  const std::uint32_t inner = c->weights.CountRows(c->Name(kGate, ".weight", i), config.width);
  const Value gate = Part(c, "ffn_gate", n, kGate, i, AllRows(inner), false);
  const Value up = Part(c, "ffn_up", n, kUp, i, AllRows(inner), false);
  const Value f = b.Gate("ffn_act", gate, up, v1::FUNCTION_SILU);
  return Part(c, "ffn_down", f, kDown, i, AllRows(config.width), false);
}

}  // namespace

Status CompileLfm2(Compilation* c) {
  if (!c->is_hf()) return Unimplemented("this family is read from Hugging Face folders only");
  c->FindPrefix({"model.", ""}, "embed_tokens.weight");
  Fields fields(c->files, FamilyName(c->files), "");
  const Config config = ReadConfig(&fields, c);
  ASSIGN_OR_RETURN(
      const WeightRef table,
      BeginDecoder(&fields,
                   {kEmbedding, config.width, config.layers, config.rotation.most_positions}, c));
  ProgramBuilder& b = c->builder;
  b.Output(b.Embed("tokens", table, v1::Embed::SOURCE_ID));
  const RopeWeights rope = b.KeepRotation("rope", v1::Rope::STYLE_HALF, config.rotation);
  for (std::uint32_t i = 0; i < config.layers && c->weights.status().ok(); ++i) {
    b.BeginBlock("layer." + std::to_string(i));
    const Value x = b.Input();
    const Value n = b.RmsNorm("operator_norm", x, config.epsilon,
                              c->Vector(kOperatorNorm, ".weight", i, config.width));
    const Value y = config.convolution[i] ? AddConvolution(c, config, i, n)
                                          : AddAttention(c, config, i, rope, n);
    const Value h = b.Add("operator_add", x, y);
    b.Output(b.Add("ffn_add", h, AddFeedForward(c, config, i, h)));
  }
  b.BeginBlock("head");
  const Value n = b.RmsNorm("norm", b.GatherOutputs("outputs", b.Input()), config.epsilon,
                            c->Vector(kFinalNorm, ".weight", 0, config.width));
  const WeightRef head = c->Head(kHead, !c->HasHead(kHead), table, config.width);
  b.Sample("sample", b.Linear("output", n, head));
  return c->weights.status();
}

}  // namespace bramble::model::families
