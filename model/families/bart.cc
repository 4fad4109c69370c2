// BART and mBART: an encoder and a decoder with learned positions and layer norms, behind each
// branch (BART) or in front of it (mBART).
#include <cmath>
#include <string>

#include "model/families/table.h"

namespace bramble::model::families {
namespace {

constexpr TensorName kEmbedding = {"", "shared"};
constexpr std::string_view kOutputBias = "final_logits_bias";
constexpr std::string_view kHead = "lm_head.weight";
// Positions begin at this row of their tables: the first two were meant for padding.
constexpr std::uint32_t kPositionOffset = 2;

// One side's tensors, keys and sizes.
struct Side {
  const char* name;  // of its tensors, and of its blocks
  TensorName positions, embedding_norm, final_norm;
  TensorName query, key, value, out, norm, up, down, feed_norm;
};

constexpr Side kEncoder = {
    "encoder",
    {"", "encoder.embed_positions"},
    {"", "encoder.layernorm_embedding"},
    {"", "encoder.layer_norm"},
    {"", "encoder.layers.#.self_attn.q_proj"},
    {"", "encoder.layers.#.self_attn.k_proj"},
    {"", "encoder.layers.#.self_attn.v_proj"},
    {"", "encoder.layers.#.self_attn.out_proj"},
    {"", "encoder.layers.#.self_attn_layer_norm"},
    {"", "encoder.layers.#.fc1"},
    {"", "encoder.layers.#.fc2"},
    {"", "encoder.layers.#.final_layer_norm"},
};
constexpr Side kDecoder = {
    "decoder",
    {"", "decoder.embed_positions"},
    {"", "decoder.layernorm_embedding"},
    {"", "decoder.layer_norm"},
    {"", "decoder.layers.#.self_attn.q_proj"},
    {"", "decoder.layers.#.self_attn.k_proj"},
    {"", "decoder.layers.#.self_attn.v_proj"},
    {"", "decoder.layers.#.self_attn.out_proj"},
    {"", "decoder.layers.#.self_attn_layer_norm"},
    {"", "decoder.layers.#.fc1"},
    {"", "decoder.layers.#.fc2"},
    {"", "decoder.layers.#.final_layer_norm"},
};
// The decoder's attention to the encoder.
constexpr Side kCross = {
    "decoder",
    {},
    {},
    {},
    {"", "decoder.layers.#.encoder_attn.q_proj"},
    {"", "decoder.layers.#.encoder_attn.k_proj"},
    {"", "decoder.layers.#.encoder_attn.v_proj"},
    {"", "decoder.layers.#.encoder_attn.out_proj"},
    {"", "decoder.layers.#.encoder_attn_layer_norm"},
    {},
    {},
    {},
};

constexpr float kEpsilon = 1e-5F;  // of torch.nn.LayerNorm; config.json has none

struct Sizes {
  std::uint32_t layers = 0;
  std::uint32_t heads = 0;
  std::uint32_t inner = 0;
};

struct Config {
  std::uint32_t width = 0;
  Sizes encoder;
  Sizes decoder;
  std::uint32_t start_id = 0;
  float scale = 1;  // of embeddings
  bool norm_first = false;
  bool tied = true;
  v1::Function function = v1::FUNCTION_GELU_ERF;
};

Sizes ReadSizes(Fields* f, Key layers, Key heads, Key inner, std::uint32_t width) {
  Sizes sizes;
  sizes.layers = f->CountOrHfDefault(layers, 1, kMostLayers, 12);
  sizes.heads = f->CountOrHfDefault(heads, 1, kMostHeads, 16);
  sizes.inner = f->CountOrHfDefault(inner, 1, kMostWidth, 4096);
  if (width % sizes.heads != 0) {
    f->Refuse(Invalid("the width ", width, " is no multiple of the ", sizes.heads, " heads"));
  }
  return sizes;
}

Config ReadConfig(Fields* f, Compilation* c, bool norm_first) {
  // The defaults are those of transformers' BartConfig.
  Config config;
  RefuseStrangers(f, c->files);
  config.norm_first = norm_first;
  config.width = f->CountOrHfDefault({"", "d_model"}, 1, kMostWidth, 1024);
  config.encoder = ReadSizes(f, {"", "encoder_layers"}, {"", "encoder_attention_heads"},
                             {"", "encoder_ffn_dim"}, config.width);
  config.decoder = ReadSizes(f, {"", "decoder_layers"}, {"", "decoder_attention_heads"},
                             {"", "decoder_ffn_dim"}, config.width);
  config.function = ReadFunction(f, {"", "activation_function"}, "gelu");
  config.start_id = f->Count({"", "decoder_start_token_id"}, 0, kMostPositions, 2);
  config.tied = f->Flag({"", "tie_word_embeddings"}, true);
  if (f->Flag({"", "scale_embedding"}, false)) {
    config.scale = static_cast<float>(std::sqrt(static_cast<double>(config.width)));
  }
  c->trained_context =
      f->CountOrHfDefault({"", "max_position_embeddings"}, 1, kMostPositions - 2, 1024);
  return config;
}

Value Linear(Compilation* c, std::string_view name, Value x, TensorName tensor, std::uint32_t i,
             std::uint32_t outputs) {
  return c->builder.Linear(name, x, c->Matrix(tensor, i, outputs, x.width),
                           c->Vector(tensor, ".bias", i, outputs));
}

Value Norm(Compilation* c, std::string_view name, Value x, TensorName tensor, std::uint32_t i) {
  return c->builder.LayerNorm(name, x, kEpsilon, c->Vector(tensor, ".weight", i, x.width),
                              c->Vector(tensor, ".bias", i, x.width));
}

// Writes the side's embedding block and returns its stream.
std::uint32_t AddEmbeddings(Compilation* c, const Config& config, const Side& side, WeightRef table,
                            v1::RowKind rows) {
  ProgramBuilder& b = c->builder;
  b.BeginBlock(std::string(side.name) + ".embed");
  Value x = b.EmbedRows("tokens", table, v1::Embed::SOURCE_ID, rows);
  if (config.scale != 1) x = b.Scale("scale", x, config.scale);
  const WeightRef positions =
      c->Matrix(side.positions, 0, c->trained_context + kPositionOffset, config.width);
  x = b.Add("positions_add", x,
            b.EmbedRows("positions", positions, v1::Embed::SOURCE_POSITION, rows, kPositionOffset));
  return b.Output(Norm(c, "embed_norm", x, side.embedding_norm, 0));
}

// A branch around `inner`: the norm stands in front of it, or behind the sum.
template <typename Inner>
Value AddBranch(Compilation* c, const Config& config, const std::string& name, TensorName norm,
                std::uint32_t i, Value x, const Inner& inner) {
  const Value n = config.norm_first ? Norm(c, name + "_norm", x, norm, i) : x;
  const Value y = c->builder.Add(name + "_add", x, inner(n));
  return config.norm_first ? y : Norm(c, name + "_norm", y, norm, i);
}

// `kept`: whose keys and values; x's own, unless that is a source.
Value AddAttention(Compilation* c, const Config& config, const Side& side, std::uint32_t heads,
                   std::uint32_t i, const std::string& name, Value x, std::optional<Value> kept,
                   v1::Attention::Sees sees) {
  return AddBranch(c, config, name, side.norm, i, x, [&](Value n) {
    const std::uint32_t width = config.width;
    const Value from = kept.value_or(n);
    const Value q = Linear(c, name + "_q", n, side.query, i, width);
    const Value k = Linear(c, name + "_k", from, side.key, i, width);
    const Value v = Linear(c, name + "_v", from, side.value, i, width);
    AttentionSpec spec;
    spec.heads = spec.kv_heads = heads;
    spec.key_dim = spec.value_dim = width / heads;
    spec.scale = static_cast<float>(1 / std::sqrt(static_cast<double>(spec.key_dim)));
    spec.sees = sees;
    const Value a = c->builder.Attention(name + "ention", q, k, v, spec);
    return c->builder.LinearOfHeads(name + "_out", a, c->Matrix(side.out, i, width, width),
                                    c->Vector(side.out, ".bias", i, width), heads);
  });
}

Value AddFeedForward(Compilation* c, const Config& config, const Side& side, std::uint32_t inner,
                     std::uint32_t i, Value x) {
  return AddBranch(c, config, "ffn", side.feed_norm, i, x, [&](Value n) {
    const Value up = Linear(c, "ffn_up", n, side.up, i, inner);
    const Value f = c->builder.Activate("ffn_act", up, config.function);
    return Linear(c, "ffn_down", f, side.down, i, config.width);
  });
}

// Returns the stream of what the decoder reads.
std::uint32_t AddEncoder(Compilation* c, const Config& config, WeightRef table) {
  ProgramBuilder& b = c->builder;
  std::uint32_t stream = AddEmbeddings(c, config, kEncoder, table, v1::ROW_KIND_SOURCE);
  for (std::uint32_t i = 0; i < config.encoder.layers && c->weights.status().ok(); ++i) {
    b.BeginBlock("encoder.layer." + std::to_string(i));
    const Value h = AddAttention(c, config, kEncoder, config.encoder.heads, i, "att", b.Input(), {},
                                 v1::Attention::SEES_BIDIRECTIONAL);
    stream = b.Output(AddFeedForward(c, config, kEncoder, config.encoder.inner, i, h));
  }
  if (!config.norm_first) return stream;
  b.BeginBlock("encoder.norm");
  return b.Output(Norm(c, "norm", b.Input(), kEncoder.final_norm, 0));
}

void AddDecoder(Compilation* c, const Config& config, WeightRef table, std::uint32_t encoded) {
  ProgramBuilder& b = c->builder;
  AddEmbeddings(c, config, kDecoder, table, v1::ROW_KIND_TOKEN);
  const std::uint32_t heads = config.decoder.heads;
  for (std::uint32_t i = 0; i < config.decoder.layers && c->weights.status().ok(); ++i) {
    b.BeginBlock("decoder.layer." + std::to_string(i));
    const Value x = b.Input();
    const Value source = b.InputFrom(encoded);
    const Value self =
        AddAttention(c, config, kDecoder, heads, i, "att", x, {}, v1::Attention::SEES_CAUSAL);
    const Value cross = AddAttention(c, config, kCross, heads, i, "cross_att", self, source,
                                     v1::Attention::SEES_CROSS);
    b.Output(AddFeedForward(c, config, kDecoder, config.decoder.inner, i, cross));
  }
}

Status Compile(Compilation* c, bool norm_first) {
  if (!c->is_hf()) return Unimplemented("this family is read from Hugging Face folders only");
  c->FindPrefix({"model.", ""}, "shared.weight");
  Fields fields(c->files, FamilyName(c->files), "");
  const Config config = ReadConfig(&fields, c, norm_first);
  RETURN_IF_ERROR(fields.status());
  RETURN_IF_ERROR(ReadVocabulary(&fields, kEmbedding, config.width, c));
  c->layers = config.encoder.layers + config.decoder.layers;
  c->start_id = config.start_id;
  RETURN_IF_ERROR(ChooseContext(c, c->trained_context));

  ProgramBuilder& b = c->builder;
  const std::uint32_t vocabulary = c->vocabulary_size;
  const WeightRef table = c->Matrix(kEmbedding, 0, vocabulary, config.width);
  AddDecoder(c, config, table, AddEncoder(c, config, table));
  b.BeginBlock("head");
  Value x = b.GatherOutputs("outputs", b.Input());
  if (norm_first) x = Norm(c, "norm", x, kDecoder.final_norm, 0);
  const WeightRef head =
      config.tied ? table : c->weights.Matrix(kHead, AllRows(vocabulary), config.width);
  std::optional<WeightRef> bias;
  if (c->weights.Has(kOutputBias)) {
    bias = c->weights.Floats(kOutputBias, vocabulary, 0, Made::kPlain);
  }
  b.Sample("sample", b.Linear("output", x, head, bias));
  return c->weights.status();
}

}  // namespace

Status CompileBart(Compilation* c) { return Compile(c, false); }

Status CompileMBart(Compilation* c) { return Compile(c, true); }

}  // namespace bramble::model::families
