#include "model/families/decoder.h"

#include <bit>
#include <cmath>
#include <string>

namespace bramble::model::families {
namespace {

// Writes the blocks of one decoder.
class Writer {
 public:
  Writer(Compilation* c, const Decoder& d) : c_(*c), d_(d), b_(c->builder) {}

  void Write() {
    const WeightRef table = WriteEmbedding();
    if (d_.rotation) rope_ = b_.KeepRotation("rope", d_.rope_style, *d_.rotation);
    if (d_.local_rotation) {
      local_rope_ = b_.KeepRotation("rope_local", d_.rope_style, *d_.local_rotation);
    }
    if (!d_.slopes.empty()) slopes_ = c_.weights.Constant("slopes", d_.slopes);
    for (layer_ = 0; layer_ < d_.layers && c_.weights.status().ok(); ++layer_) {
      b_.BeginBlock("layer." + std::to_string(layer_));
      b_.Output(d_.parallel ? ParallelLayer(b_.Input()) : SerialLayer(b_.Input()));
    }
    layer_ = 0;
    WriteHead(table);
  }

 private:
  WeightRef WriteEmbedding() {
    b_.BeginBlock("embed");
    const std::uint32_t width = d_.embedding_width != 0 ? d_.embedding_width : d_.width;
    const WeightRef table = c_.Matrix(d_.names.embedding, 0, c_.vocabulary_size, width);
    Value x = b_.Embed("tokens", table, v1::Embed::SOURCE_ID);
    if (d_.embedding_scale != 1) x = b_.Scale("embed_scale", x, d_.embedding_scale);
    if (width != d_.width) {
      x = b_.Linear("project_in", x, c_.Matrix(d_.names.project_in, 0, d_.width, width));
    }
    if (d_.position_offset) {
      const WeightRef positions =
          c_.Matrix(d_.names.positions, 0, c_.trained_context + *d_.position_offset, d_.width);
      x = b_.Add("embed_add", x, b_.EmbedPositions("positions", positions, *d_.position_offset));
    }
    if (d_.embedding_norm) x = Norm("embed_norm", x, d_.names.embedding_norm);
    b_.Output(x);
    return table;
  }

  Value Norm(std::string_view name, Value x, TensorName tensor) {
    std::optional<WeightRef> gain;
    if (d_.norm_gain) gain = c_.Vector(tensor, ".weight", layer_, x.width, d_.norm_added);
    const std::optional<WeightRef> bias = c_.Bias(tensor, layer_, x.width, d_.norm_bias);
    return b_.Norm(name, x, d_.norm, d_.epsilon, gain, bias);
  }

  Value Linear(std::string_view name, Value x, const MatrixPart& part, bool biased) {
    const WeightRef matrix =
        c_.weights.Matrix(c_.Name(part.tensor, ".weight", layer_), part.rows, x.width);
    std::optional<WeightRef> bias;
    if (c_.is_hf() ? biased : c_.Has(part.tensor, ".bias", layer_)) {
      bias = c_.weights.Vector(c_.Name(part.tensor, ".bias", layer_), part.rows);
    }
    return b_.Linear(name, x, matrix, bias);
  }

  WeightRef HeadGain(TensorName tensor, std::uint32_t heads) {
    const std::uint32_t width = heads * d_.head_dim;
    switch (d_.head_norms) {
      case HeadNorms::kOwn:
        return c_.weights.Flattened(c_.Name(tensor, ".weight", layer_), heads, d_.head_dim);
      case HeadNorms::kOwnEach: {
        std::vector<float> gains;
        for (std::uint32_t head = 0; head < heads; ++head) {
          const std::string suffix = ".norms." + std::to_string(head) + ".weight";
          const auto own = c_.weights.Read(c_.Name(tensor, suffix, layer_), d_.head_dim);
          gains.insert(gains.end(), own.begin(), own.end());
        }
        return c_.weights.Constant(c_.Name(tensor, ".norms", layer_), gains);
      }
      case HeadNorms::kWhole:
        return c_.Vector(tensor, ".weight", layer_, width, d_.norm_added);
      default:
        return c_.Vector(tensor, ".weight", layer_, d_.head_dim, d_.norm_added);
    }
  }

  // The norm of the heads and the rotation, of q or k.
  Value Prepare(const std::string& letter, Value x, TensorName norm, std::uint32_t heads) {
    if (d_.head_norms != HeadNorms::kNone) {
      const WeightRef gain = HeadGain(norm, heads);
      const std::optional<WeightRef> bias = c_.Bias(norm, layer_, d_.head_dim, d_.head_norm_bias);
      const std::uint32_t groups = d_.head_norms == HeadNorms::kWhole ? 1 : heads;
      x = b_.Norm(letter + "_norm", x, d_.norm, d_.epsilon, gain, bias, groups);
    }
    if (!d_.rotation || !(d_.rotated.empty() || d_.rotated[layer_])) return x;
    return b_.Rope(letter + "_rope", x, heads,
                   d_.local_rotation && Window() != 0 ? local_rope_ : rope_);
  }

  std::uint32_t Window() const { return d_.windows.empty() ? 0 : d_.windows[layer_]; }

  Value Attention(Value n) {
    Value q = Linear("attn_q", n, d_.query, d_.query_bias);
    Value k = Linear("attn_k", n, d_.key, d_.query_bias);
    Value v = Linear("attn_v", n, d_.value, d_.query_bias);
    if (d_.clamp > 0) {
      q = b_.Clamp("q_clamp", q, d_.clamp);
      k = b_.Clamp("k_clamp", k, d_.clamp);
      v = b_.Clamp("v_clamp", v, d_.clamp);
    }
    q = Prepare("q", q, d_.names.query_norm, d_.heads);
    k = Prepare("k", k, d_.names.key_norm, d_.kv_heads);
    AttentionSpec spec{d_.heads, d_.kv_heads, d_.head_dim, d_.head_dim,
                       Window(), d_.scale,    d_.score_cap};
    if (spec.scale == 0)
      spec.scale = static_cast<float>(1 / std::sqrt(static_cast<double>(d_.head_dim)));
    spec.slopes = slopes_;
    const Value a = b_.Attention("attention", q, k, v, spec);
    const TensorName out = d_.names.attention_out;
    return b_.LinearOfHeads("attn_out", a, c_.Matrix(out, layer_, d_.width, a.width),
                            c_.Bias(out, layer_, d_.width, d_.output_bias), d_.kv_heads);
  }

  Value FeedForward(Value n) {
    Value f;
    if (d_.gate) {
      const Value gate = Linear("ffn_gate", n, *d_.gate, d_.feed_bias);
      f = b_.Gate("ffn_act", gate, Linear("ffn_up", n, d_.up, d_.feed_bias), d_.function);
    } else {
      f = b_.Activate("ffn_act", Linear("ffn_up", n, d_.up, d_.feed_bias), d_.function);
    }
    return Linear("ffn_down", f, {d_.names.down, AllRows(d_.width)}, d_.feed_bias);
  }

  Value Scaled(std::string_view name, Value branch) {
    return d_.branch_scale == 1 ? branch : b_.Scale(name, branch, d_.branch_scale);
  }

  bool NormsBefore() const {
    return d_.norm_place == NormPlace::kBefore || d_.norm_place == NormPlace::kBeforeAndAfter;
  }
  bool NormsAfter() const {
    return d_.norm_place == NormPlace::kAfter || d_.norm_place == NormPlace::kBeforeAndAfter;
  }

  // x and one branch of it.
  template <typename Branch>
  Value Residual(const std::string& name, Value x, TensorName norm, TensorName after,
                 const Branch& branch) {
    const Value n = NormsBefore() ? Norm(name + "_norm", x, norm) : x;
    Value y = branch(n);
    if (NormsAfter()) y = Norm(name + "_post_norm", y, after);
    y = b_.Add(name + "_add", d_.normed_residual ? n : x, Scaled(name + "_scale", y));
    return d_.norm_place == NormPlace::kBehindSum ? Norm(name + "_norm", y, norm) : y;
  }

  Value SerialLayer(Value x) {
    const DecoderNames& names = d_.names;
    const Value h = Residual("attn", x, names.attention_norm, names.after_attention,
                             [this](Value n) { return Attention(n); });
    return Residual("ffn", h, names.feed_norm, names.after_feed,
                    [this](Value n) { return FeedForward(n); });
  }

  Value ParallelLayer(Value x) {
    const Value n = Norm("attn_norm", x, d_.names.attention_norm);
    const Value m = d_.one_norm ? n : Norm("ffn_norm", x, d_.names.feed_norm);
    const Value a = Attention(n);
    const Value h = b_.Add("branches_add", a, FeedForward(m));
    return b_.Add("ffn_add", x, Scaled("branches_scale", h));
  }

  void WriteHead(WeightRef table) {
    b_.BeginBlock("head");
    Value x = b_.GatherOutputs("outputs", b_.Input());
    if (d_.final_norm) x = Norm("norm", x, d_.names.final_norm);
    if (d_.embedding_width != 0 && d_.embedding_width != d_.width) {
      x = b_.Linear("project_out", x,
                    c_.Matrix(d_.names.project_out, 0, d_.embedding_width, d_.width));
    }
    // The head stands beside the model that has the prefix.
    const std::string name(c_.is_hf() ? d_.names.head.hf : d_.names.head.gguf);
    const RowRange ids = AllRows(c_.vocabulary_size);
    const WeightRef head = d_.tied ? table : c_.weights.Matrix(name + ".weight", ids, x.width);
    std::optional<WeightRef> bias;
    if (c_.is_hf() ? d_.head_bias : c_.weights.Has(name + ".bias")) {
      bias = c_.weights.Vector(name + ".bias", ids);
    }
    Value logits = b_.Linear("output", x, head, bias);
    if (d_.logit_scale != 1) logits = b_.Scale("logit_scale", logits, d_.logit_scale);
    if (d_.logit_cap > 0) logits = b_.SoftCap("logit_cap", logits, d_.logit_cap);
    b_.Sample("sample", logits);
  }

  Compilation& c_;
  const Decoder& d_;
  ProgramBuilder& b_;
  std::uint32_t layer_ = 0;
  RopeWeights rope_;
  RopeWeights local_rope_;
  std::optional<WeightRef> slopes_;
};

}  // namespace

std::uint32_t ReadKvHeads(Fields* f, Key key, std::uint32_t heads) {
  const std::uint32_t kv_heads = f->Count(key, 1, kMostHeads, heads);
  if (heads % kv_heads != 0) {
    f->Refuse(Invalid(heads, " heads are no multiple of ", kv_heads, " key-value heads"));
  }
  return kv_heads;
}

void ReadLayerNorm(Fields* f, Key epsilon, double hf_default, Decoder* d) {
  d->norm = v1::Norm::KIND_LAYER;
  d->norm_bias = true;
  d->epsilon = static_cast<float>(f->RealOrHfDefault(epsilon, 0, 1, hf_default));
}

void ReadRmsNorm(Fields* f, double hf_default, Decoder* d) {
  d->norm = v1::Norm::KIND_RMS;
  d->epsilon = static_cast<float>(
      f->RealOrHfDefault({"attention.layer_norm_rms_epsilon", "rms_norm_eps"}, 0, 1, hf_default));
}

Decoder ReadSizes(Fields* f, Compilation* c, const SizeNames& names, std::uint32_t hf_context) {
  Decoder d;
  RefuseStrangers(f, c->files);
  d.width = f->Count({"embedding_length", names.width}, 1, kMostWidth / 4);
  d.layers = f->Count({"block_count", names.layers}, 1, kMostLayers);
  d.heads = f->Count({"attention.head_count", names.heads}, 1, kMostHeads);
  d.kv_heads = ReadKvHeads(f, {"attention.head_count_kv", names.kv_heads}, d.heads);
  d.inner = f->Count({"feed_forward_length", names.inner}, 1, kMostWidth, 4 * d.width);
  const Key context = {"context_length", names.context};
  c->trained_context = hf_context == 0
                           ? f->Count(context, 1, kMostPositions)
                           : f->CountOrHfDefault(context, 1, kMostPositions, hf_context);
  const Key head_dim = {"attention.key_length", names.head_dim};
  d.head_dim = f->Count(head_dim, 1, kMostHeadDim, d.width / d.heads);
  if (!f->Has(head_dim) && (d.width % d.heads != 0 || d.head_dim > kMostHeadDim)) {
    f->Refuse(Invalid("the width ", d.width, " is no multiple of the ", d.heads,
                      " heads, or these are wider than ", kMostHeadDim));
  }
  if (f->Count({"attention.value_length", ""}, 1, kMostHeadDim, d.head_dim) != d.head_dim) {
    f->Refuse(Unimplemented(f->Place({"attention.value_length", ""}),
                            ": values that are not as wide as keys cannot be compiled yet"));
  }
  return d;
}

void SplitQueryKeyValue(Decoder* d, std::string_view hf_query, std::string_view hf_key,
                        std::string_view hf_value) {
  d->query = {{"blk.#.attn_q", hf_query}, AllRows(d->heads * d->head_dim)};
  d->key = {{"blk.#.attn_k", hf_key}, AllRows(d->kv_heads * d->head_dim)};
  d->value = {{"blk.#.attn_v", hf_value}, AllRows(d->kv_heads * d->head_dim)};
}

void FuseQueryKeyValue(Decoder* d, TensorName tensor) {
  const std::uint32_t q = d->heads * d->head_dim;
  const std::uint32_t k = d->kv_heads * d->head_dim;
  d->query = {tensor, {0, q, q + 2 * k}};
  d->key = {tensor, {q, k, q + 2 * k}};
  d->value = {tensor, {q + k, k, q + 2 * k}};
}

void InterleaveQueryKeyValue(Decoder* d, TensorName tensor) {
  const std::uint32_t head = d->head_dim;
  const std::uint32_t queries = d->heads / d->kv_heads * head;  // of a key-value head
  const std::uint32_t group = queries + 2 * head;
  const std::uint32_t total = d->kv_heads * group;
  d->query = {tensor, {0, d->heads * head, total, queries, group}};
  d->key = {tensor, {queries, d->kv_heads * head, total, head, group}};
  d->value = {tensor, {queries + head, d->kv_heads * head, total, head, group}};
}

void GateAndUp(Decoder* d) {
  d->gate = {{"blk.#.ffn_gate", "layers.#.mlp.gate_proj"}, AllRows(d->inner)};
  d->up = {{"blk.#.ffn_up", "layers.#.mlp.up_proj"}, AllRows(d->inner)};
}

bool ReadTied(Fields* f, const Compilation& c, bool hf_default) {
  return c.is_hf() ? f->Flag({"", "tie_word_embeddings"}, hf_default)
                   : !c.weights.Has("output.weight");
}

std::vector<float> AlibiSlopes(std::uint32_t heads, double most) {
  const std::uint32_t below = std::bit_floor(heads);
  std::vector<float> slopes;
  slopes.reserve(heads);
  for (std::uint32_t i = 0; i < below; ++i) {
    slopes.push_back(static_cast<float>(std::exp2(-most * (i + 1) / below)));
  }
  for (std::uint32_t i = 0; below + i < heads; ++i) {
    slopes.push_back(static_cast<float>(std::exp2(-most * (2 * i + 1) / (2.0 * below))));
  }
  return slopes;
}

Status CompileDecoder(Compilation* c, Fields* f, const Decoder& d) {
  RETURN_IF_ERROR(f->status());
  const std::uint32_t table_width = d.embedding_width != 0 ? d.embedding_width : d.width;
  RETURN_IF_ERROR(ReadVocabulary(f, d.names.embedding, table_width, c));
  c->layers = d.layers;
  const std::uint32_t limit = d.rotation ? d.rotation->most_positions : 0;
  RETURN_IF_ERROR(ChooseContext(c, limit > 0 ? limit : c->trained_context));
  Writer(c, d).Write();
  return c->weights.status();
}

}  // namespace bramble::model::families
