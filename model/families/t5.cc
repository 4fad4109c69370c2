// T5: an encoder and a decoder with biases by relative position in place of positions, RMS norms in
// front of each branch, no biases and no scale of scores.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "model/families/table.h"

namespace bramble::model::families {
namespace {

constexpr TensorName kEmbedding = {"", "shared"};
constexpr std::string_view kHead = "lm_head.weight";

// The tensors of one side; the feed-forward network is the last of a layer's branches.
struct Side {
  TensorName query, key, value, out, norm, buckets;
  TensorName feed_norm, feed, feed_gate, feed_up, down, final_norm;
};

constexpr Side kEncoder = {
    {"", "encoder.block.#.layer.0.SelfAttention.q"},
    {"", "encoder.block.#.layer.0.SelfAttention.k"},
    {"", "encoder.block.#.layer.0.SelfAttention.v"},
    {"", "encoder.block.#.layer.0.SelfAttention.o"},
    {"", "encoder.block.#.layer.0.layer_norm"},
    {"", "encoder.block.0.layer.0.SelfAttention.relative_attention_bias"},
    {"", "encoder.block.#.layer.1.layer_norm"},
    {"", "encoder.block.#.layer.1.DenseReluDense.wi"},
    {"", "encoder.block.#.layer.1.DenseReluDense.wi_0"},
    {"", "encoder.block.#.layer.1.DenseReluDense.wi_1"},
    {"", "encoder.block.#.layer.1.DenseReluDense.wo"},
    {"", "encoder.final_layer_norm"},
};
constexpr Side kDecoder = {
    {"", "decoder.block.#.layer.0.SelfAttention.q"},
    {"", "decoder.block.#.layer.0.SelfAttention.k"},
    {"", "decoder.block.#.layer.0.SelfAttention.v"},
    {"", "decoder.block.#.layer.0.SelfAttention.o"},
    {"", "decoder.block.#.layer.0.layer_norm"},
    {"", "decoder.block.0.layer.0.SelfAttention.relative_attention_bias"},
    {"", "decoder.block.#.layer.2.layer_norm"},
    {"", "decoder.block.#.layer.2.DenseReluDense.wi"},
    {"", "decoder.block.#.layer.2.DenseReluDense.wi_0"},
    {"", "decoder.block.#.layer.2.DenseReluDense.wi_1"},
    {"", "decoder.block.#.layer.2.DenseReluDense.wo"},
    {"", "decoder.final_layer_norm"},
};
// The decoder's attention to the encoder.
constexpr Side kCross = {{"", "decoder.block.#.layer.1.EncDecAttention.q"},
                         {"", "decoder.block.#.layer.1.EncDecAttention.k"},
                         {"", "decoder.block.#.layer.1.EncDecAttention.v"},
                         {"", "decoder.block.#.layer.1.EncDecAttention.o"},
                         {"", "decoder.block.#.layer.1.layer_norm"},
                         {},
                         {},
                         {},
                         {},
                         {},
                         {},
                         {}};

// Nothing limits the positions but what a worker keeps of each id.
constexpr std::uint32_t kUsualPositions = 2048;

struct Config {
  std::uint32_t width = 0;
  std::uint32_t layers = 0;  // of the encoder
  std::uint32_t decoder_layers = 0;
  std::uint32_t heads = 0;
  std::uint32_t head_dim = 0;
  std::uint32_t inner = 0;
  std::uint32_t buckets = 0;
  std::uint32_t reach = 0;  // from here on every distance has the last bucket
  std::uint32_t start_id = 0;
  float epsilon = 0;
  bool gated = false;
  bool tied = true;
  v1::Function function = v1::FUNCTION_RELU;
};

// "relu", "gated-gelu", "gated-silu": what is gated says so in front.
void ReadFeedForward(Fields* f, Config* config) {
  constexpr Key kKind = {"", "feed_forward_proj"};
  const std::string kind = f->Text(kKind, "relu");
  config->gated = kind.starts_with("gated-");
  // transformers takes the tanh form for "gated-gelu", whatever its own name for it.
  if (kind == "gated-gelu") {
    config->function = v1::FUNCTION_GELU_TANH;
  } else {
    const Key activation = f->Has({"", "dense_act_fn"}) ? Key{"", "dense_act_fn"} : kKind;
    config->function = ReadFunction(f, activation, "relu");
  }
}

Config ReadConfig(Fields* f, Compilation* c) {
  // The defaults are those of transformers' T5Config.
  Config config;
  RefuseStrangers(f, c->files);
  config.width = f->CountOrHfDefault({"", "d_model"}, 1, kMostWidth, 512);
  config.layers = f->CountOrHfDefault({"", "num_layers"}, 1, kMostLayers, 6);
  config.decoder_layers = f->Count({"", "num_decoder_layers"}, 1, kMostLayers, config.layers);
  config.heads = f->CountOrHfDefault({"", "num_heads"}, 1, kMostHeads, 8);
  config.head_dim = f->CountOrHfDefault({"", "d_kv"}, 1, kMostHeadDim, 64);
  config.inner = f->CountOrHfDefault({"", "d_ff"}, 1, kMostWidth, 2048);
  config.buckets = f->CountOrHfDefault({"", "relative_attention_num_buckets"}, 4, 4096, 32);
  config.reach = f->CountOrHfDefault({"", "relative_attention_max_distance"}, 2, 1U << 16U, 128);
  config.epsilon = static_cast<float>(f->Real({"", "layer_norm_epsilon"}, 0, 1, 1e-6));
  config.start_id = f->Count({"", "decoder_start_token_id"}, 0, kMostPositions,
                             f->Count({"", "pad_token_id"}, 0, kMostPositions, 0));
  config.tied = f->Flag({"", "tie_word_embeddings"}, true);
  ReadFeedForward(f, &config);
  if (config.reach <= config.buckets / 2) {
    f->Refuse(Invalid("relative_attention_max_distance ", config.reach, " is not above the ",
                      config.buckets / 2, " exact buckets"));
  }
  c->trained_context = f->Count({"", "n_positions"}, 1, kMostPositions, kUsualPositions);
  return config;
}

// The bucket of each distance -reach .. reach (key minus query), as transformers'
// T5Attention._relative_position_bucket gives it, in the same f32 steps.
std::vector<float> BucketIds(const Config& config, bool both_ways) {
  const auto reach = static_cast<int>(config.reach);
  const int count = static_cast<int>(config.buckets) / (both_ways ? 2 : 1);
  const int exact = count / 2;
  std::vector<float> ids;
  for (int distance = -reach; distance <= reach; ++distance) {
    const int behind = both_ways ? std::abs(distance) : std::max(-distance, 0);
    int bucket = behind;
    if (behind >= exact) {
      const float part = std::log(static_cast<float>(behind) / static_cast<float>(exact)) /
                         static_cast<float>(std::log(static_cast<double>(config.reach) / exact));
      bucket = exact + static_cast<int>(part * static_cast<float>(count - exact));
      bucket = std::min(bucket, count - 1);
    }
    if (both_ways && distance > 0) bucket += count;
    ids.push_back(static_cast<float>(bucket));
  }
  return ids;
}

Value Linear(Compilation* c, std::string_view name, Value x, TensorName tensor, std::uint32_t i,
             std::uint32_t outputs) {
  return c->builder.Linear(name, x, c->Matrix(tensor, i, outputs, x.width));
}

Value Norm(Compilation* c, const Config& config, std::string_view name, Value x, TensorName tensor,
           std::uint32_t i) {
  return c->builder.RmsNorm(name, x, config.epsilon, c->Vector(tensor, ".weight", i, x.width));
}

// A branch of attention. `kept`: whose keys and values; x itself, unless that is a source.
Value AddAttention(Compilation* c, const Config& config, const Side& side, std::uint32_t i,
                   const std::string& prefix, Value x, std::optional<Value> kept,
                   v1::Attention::Sees sees, std::optional<Buckets> buckets) {
  const std::uint32_t width = config.heads * config.head_dim;
  const Value n = Norm(c, config, prefix + "_norm", x, side.norm, i);
  const Value from = kept.value_or(n);
  const Value q = Linear(c, prefix + "_q", n, side.query, i, width);
  const Value k = Linear(c, prefix + "_k", from, side.key, i, width);
  const Value v = Linear(c, prefix + "_v", from, side.value, i, width);
  AttentionSpec spec;
  spec.heads = spec.kv_heads = config.heads;
  spec.key_dim = spec.value_dim = config.head_dim;
  spec.sees = sees;
  spec.buckets = buckets;
  const Value a = c->builder.Attention(prefix + "ention", q, k, v, spec);
  const Value out = c->builder.LinearOfHeads(
      prefix + "_out", a, c->Matrix(side.out, i, config.width, width), {}, config.heads);
  return c->builder.Add(prefix + "_add", x, out);
}

Value AddFeedForward(Compilation* c, const Config& config, const Side& side, std::uint32_t i,
                     Value x) {
  ProgramBuilder& b = c->builder;
  const Value n = Norm(c, config, "ffn_norm", x, side.feed_norm, i);
  Value f;
  if (config.gated) {
    const Value gate = Linear(c, "ffn_gate", n, side.feed_gate, i, config.inner);
    const Value up = Linear(c, "ffn_up", n, side.feed_up, i, config.inner);
    f = b.Gate("ffn_act", gate, up, config.function);
  } else {
    f = b.Activate("ffn_act", Linear(c, "ffn_up", n, side.feed, i, config.inner), config.function);
  }
  return b.Add("ffn_add", x, Linear(c, "ffn_down", f, side.down, i, config.width));
}

Buckets KeepBuckets(Compilation* c, const Config& config, const Side& side, bool both_ways) {
  return {c->weights.Floats(c->Name(side.buckets, ".weight"), config.buckets, config.heads,
                            Made::kPlain),
          c->weights.Constant(both_ways ? "buckets.encoder" : "buckets.decoder",
                              BucketIds(config, both_ways))};
}

// Returns the stream of what the decoder reads.
std::uint32_t AddEncoder(Compilation* c, const Config& config, WeightRef table) {
  ProgramBuilder& b = c->builder;
  b.BeginBlock("encoder.embed");
  b.Output(b.EmbedRows("tokens", table, v1::Embed::SOURCE_ID, v1::ROW_KIND_SOURCE));
  const Buckets buckets = KeepBuckets(c, config, kEncoder, true);
  for (std::uint32_t i = 0; i < config.layers && c->weights.status().ok(); ++i) {
    b.BeginBlock("encoder.layer." + std::to_string(i));
    const Value h = AddAttention(c, config, kEncoder, i, "att", b.Input(), {},
                                 v1::Attention::SEES_BIDIRECTIONAL, buckets);
    b.Output(AddFeedForward(c, config, kEncoder, i, h));
  }
  b.BeginBlock("encoder.norm");
  return b.Output(Norm(c, config, "norm", b.Input(), kEncoder.final_norm, 0));
}

}  // namespace

Status CompileT5(Compilation* c) {
  if (!c->is_hf()) return Unimplemented("this family is read from Hugging Face folders only");
  Fields fields(c->files, FamilyName(c->files), "");
  const Config config = ReadConfig(&fields, c);
  RETURN_IF_ERROR(fields.status());
  RETURN_IF_ERROR(ReadVocabulary(&fields, kEmbedding, config.width, c));
  c->layers = config.layers + config.decoder_layers;
  c->start_id = config.start_id;
  RETURN_IF_ERROR(ChooseContext(c, std::max(c->options.context_length, c->trained_context)));

  ProgramBuilder& b = c->builder;
  const WeightRef table = c->Matrix(kEmbedding, 0, c->vocabulary_size, config.width);
  const std::uint32_t encoded = AddEncoder(c, config, table);
  b.BeginBlock("decoder.embed");
  b.Output(b.Embed("tokens", table, v1::Embed::SOURCE_ID));
  const Buckets buckets = KeepBuckets(c, config, kDecoder, false);
  for (std::uint32_t i = 0; i < config.decoder_layers && c->weights.status().ok(); ++i) {
    b.BeginBlock("decoder.layer." + std::to_string(i));
    const Value x = b.Input();
    const Value source = b.InputFrom(encoded);
    const Value self =
        AddAttention(c, config, kDecoder, i, "att", x, {}, v1::Attention::SEES_CAUSAL, buckets);
    const Value cross = AddAttention(c, config, kCross, i, "cross_att", self, source,
                                     v1::Attention::SEES_CROSS, {});
    b.Output(AddFeedForward(c, config, kDecoder, i, cross));
  }
  b.BeginBlock("head");
  Value x = Norm(c, config, "norm", b.GatherOutputs("outputs", b.Input()), kDecoder.final_norm, 0);
  // A tied matrix has the size of embeddings.
  if (config.tied) {
    x = b.Scale("scale", x, static_cast<float>(1 / std::sqrt(static_cast<double>(config.width))));
  }
  const WeightRef head =
      config.tied ? table : c->weights.Matrix(kHead, AllRows(c->vocabulary_size), config.width);
  b.Sample("sample", b.Linear("output", x, head));
  return c->weights.status();
}

}  // namespace bramble::model::families
