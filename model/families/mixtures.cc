// Decoders whose feed-forward networks are mixtures of experts: the Llama graph with a router in
// each layer, and what tells its families apart.
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "model/families/experts.h"
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
constexpr TensorName kSinks = {"blk.#.attn_sinks", "layers.#.self_attn.sinks"};
constexpr TensorName kAttentionOut = {"blk.#.attn_output", "layers.#.self_attn.o_proj"};
constexpr TensorName kFinalNorm = {"output_norm", "norm"};
constexpr TensorName kHead = {"output", "lm_head"};
constexpr FeedForwardNames kDense = {{"blk.#.ffn_gate", "layers.#.mlp.gate_proj"},
                                     {"blk.#.ffn_up", "layers.#.mlp.up_proj"},
                                     {"blk.#.ffn_down", "layers.#.mlp.down_proj"}};
constexpr FeedForwardNames kShared = {
    {"blk.#.ffn_gate_shexp", "layers.#.mlp.shared_expert.gate_proj"},
    {"blk.#.ffn_up_shexp", "layers.#.mlp.shared_expert.up_proj"},
    {"blk.#.ffn_down_shexp", "layers.#.mlp.shared_expert.down_proj"}};
constexpr TensorName kSharedGate = {"blk.#.ffn_gate_inp_shexp", "layers.#.mlp.shared_expert_gate"};

enum class HeadNorms : std::uint8_t { kNone, kOfHeads, kOfRows };

// How a Hugging Face file keeps the experts.
enum class ExpertLayout : std::uint8_t { kSeparate, kHalves, kInterleaved };

struct Variant {
  ExpertNames names;
  ExpertLayout layout = ExpertLayout::kSeparate;
  v1::Moe::Score score = v1::Moe::SCORE_SOFTMAX_THEN_TOP;
  bool renormalize_gguf = false;  // config.json says it, GGUF metadata does not
  Key experts = {"expert_count", "num_experts"};
  Key inner = {"expert_feed_forward_length", "moe_intermediate_size"};
  v1::Rope::Style gguf_rope = v1::Rope::STYLE_HALF;
  HeadNorms head_norms = HeadNorms::kNone;
  TensorName feed_norm = {"blk.#.ffn_norm", "layers.#.post_attention_layernorm"};
  bool always_query_bias = false;
  bool layer_norms = false;  // with biases
  bool sinks = false;
  bool shared_expert = false;
  bool router_bias = false;
  bool sparse_step = false;         // some layers may be dense
  bool alternating_window = false;  // unless config.json has a list
  bool granite = false;             // multipliers of embedding, branches, logits
  double epsilon = 1e-6;            // unless config.json says
  double rope_base = 10000;
  float limit = 0;
  float offset = 0;
};

struct Config {
  std::uint32_t width = 0;
  std::uint32_t layers = 0;
  std::uint32_t heads = 0;
  std::uint32_t kv_heads = 0;
  std::uint32_t head_dim = 0;
  std::uint32_t inner = 0;   // of dense layers
  std::uint32_t shared = 0;  // of the shared expert
  float epsilon = 0;
  float clip = 0;  // 0, or q, k and v are brought within +-clip
  bool attention_bias = false;
  bool output_bias = false;
  bool head_bias = false;
  bool tied = false;
  bool mxfp4 = false;  // the experts of a Hugging Face file
  float attention_scale = 0;
  float embedding_scale = 1;
  float branch_scale = 1;
  float logit_divisor = 1;
  v1::Function function = v1::FUNCTION_SILU;
  ExpertsConfig experts;
  Rotation rotation;
  std::vector<std::uint32_t> windows;  // by layer; 0: sees everything
  std::vector<bool> dense;             // by layer
};

void ReadHeads(Fields* f, Config* config) {
  constexpr Key kHeadDim = {"attention.key_length", "head_dim"};
  config->heads = f->Count({"attention.head_count", "num_attention_heads"}, 1, kMostHeads);
  config->kv_heads =
      f->Count({"attention.head_count_kv", "num_key_value_heads"}, 1, kMostHeads, config->heads);
  if (!f->Has(kHeadDim) && config->width % config->heads != 0) {
    f->Refuse(
        Invalid("the width ", config->width, " is no multiple of the ", config->heads, " heads"));
  }
  config->head_dim = f->Count(kHeadDim, 1, kMostHeadDim, config->width / config->heads);
  if (config->heads % config->kv_heads != 0) {
    f->Refuse(
        Invalid(config->heads, " heads are no multiple of ", config->kv_heads, " key-value heads"));
  }
  if (config->head_dim % 2 != 0) {
    f->Refuse(Invalid("heads of ", config->head_dim, " numbers cannot be rotated in pairs"));
  }
}

void ReadWindows(Fields* f, const Variant& variant, Config* config) {
  config->windows.assign(config->layers, 0);
  // Only Qwen's files have the flag.
  if (!f->Flag({"", "use_sliding_window"}, !variant.sparse_step)) return;
  const std::uint32_t window =
      f->Count({"attention.sliding_window", "sliding_window"}, 0, kMostPositions, 0);
  const std::uint32_t first = f->Count({"", "max_window_layers"}, 0, kMostPositions, 0);
  const std::vector<bool> sliding = ReadSlidingLayers(f, config->layers);
  for (std::uint32_t i = 0; i < config->layers; ++i) {
    const bool usual = variant.alternating_window ? i % 2 == 0 : i >= first;
    if (sliding.empty() ? usual : sliding[i]) config->windows[i] = window;
  }
}

// Qwen: every `decoder_sparse_step`th layer has experts, but for those that are listed.
void ReadDenseLayers(Fields* f, const Variant& variant, Config* config) {
  config->dense.assign(config->layers, false);
  if (!variant.sparse_step || !f->is_hf()) return;
  const std::uint32_t step = f->Count({"", "decoder_sparse_step"}, 1, kMostLayers, 1);
  for (std::uint32_t i = 0; i < config->layers; ++i) config->dense[i] = (i + 1) % step != 0;
  constexpr Key kDenseLayers = {"", "mlp_only_layers"};
  const files::MetaValue* list = f->Find(kDenseLayers);
  if (list == nullptr) return;
  const auto layers = list->Numbers(kMostLayers);
  for (const double layer : layers.ok() ? *layers : std::vector<double>{-1}) {
    if (layer < 0 || layer >= config->layers || layer != std::floor(layer)) {
      f->Refuse(
          Invalid(f->Place(kDenseLayers), " must be a list of layers below ", config->layers));
      return;
    }
    config->dense[static_cast<std::size_t>(layer)] = true;
  }
}

void ReadMultipliers(Fields* f, const Variant& variant, Config* config) {
  const double usual = 1 / std::sqrt(static_cast<double>(config->head_dim));
  config->attention_scale = static_cast<float>(usual);
  if (!variant.granite) return;
  constexpr double kMost = 1e6;
  const auto read = [&](Key key, double if_missing) {
    return static_cast<float>(f->Real(key, 0, kMost, if_missing));
  };
  config->attention_scale = read({"attention.scale", "attention_multiplier"}, 1);
  config->embedding_scale = read({"embedding_scale", "embedding_multiplier"}, 1);
  config->branch_scale = read({"residual_scale", "residual_multiplier"}, 1);
  config->logit_divisor = read({"logit_scale", "logits_scaling"}, 1);
}

void ReadMixture(Fields* f, const Variant& variant, Config* config) {
  Key inner = variant.inner;
  // GGUF files of families without dense layers say only this.
  if (!f->is_hf() && !f->Has(inner)) inner.gguf = "feed_forward_length";
  config->experts =
      ReadExperts(f, variant.experts, {"expert_used_count", "num_experts_per_tok"}, inner);
  ExpertsSpec& spec = config->experts.spec;
  spec.score = variant.score;
  spec.renormalize = f->is_hf() ? f->Flag({"", "norm_topk_prob"}, false) : variant.renormalize_gguf;
  spec.function = config->function;
  spec.limit = variant.limit;
  spec.offset = variant.offset;
  if (variant.score == v1::Moe::SCORE_THRESHOLD) {
    spec.per_row = 2;  // whatever the description says: the router is made for two
    spec.threshold = 2 * static_cast<float>(f->Real({"", "router_jitter_noise"}, 0, 1, 0.01));
    if (spec.experts < 2) f->Refuse(Invalid("one expert is too few for its router"));
  }
  if (variant.shared_expert) {
    config->shared = f->Count(
        {"expert_shared_feed_forward_length", "shared_expert_intermediate_size"}, 1, kMostWidth);
  }
}

Config ReadConfig(Fields* f, const Variant& variant, Compilation* c) {
  Config config;
  const files::MetaValue* method =
      files::FindValue(c->files.metadata, "quantization_config.quant_method");
  config.mxfp4 = variant.layout == ExpertLayout::kInterleaved && method != nullptr &&
                 method->Text().value_or("") == "mxfp4";
  if (!config.mxfp4) RefuseQuantized(f, c->files);
  config.width = f->Count({"embedding_length", "hidden_size"}, 1, kMostWidth);
  config.layers = f->Count({"block_count", "num_hidden_layers"}, 1, kMostLayers);
  config.inner = f->Count({"feed_forward_length", "intermediate_size"}, 1, kMostWidth);
  config.epsilon = static_cast<float>(f->RealOrHfDefault(
      {"attention.layer_norm_rms_epsilon", "rms_norm_eps"}, 0, 1, variant.epsilon));
  c->trained_context =
      f->CountOrHfDefault({"context_length", "max_position_embeddings"}, 1, kMostPositions, 4096);
  ReadHeads(f, &config);
  config.output_bias = f->Flag({"", "attention_bias"}, false);
  config.attention_bias =
      config.output_bias || (variant.always_query_bias && f->Flag({"", "qkv_bias"}, true));
  config.head_bias = f->Flag({"", "lm_head_bias"}, false);
  config.tied =
      c->is_hf() ? f->Flag({"", "tie_word_embeddings"}, false) : !c->weights.Has("output.weight");
  config.function = ReadFunction(f, {"", "hidden_act"}, "silu");
  // gpt-oss says "silu" and means this.
  if (variant.offset != 0) config.function = v1::FUNCTION_GELU_QUICK;
  config.clip = static_cast<float>(f->OptionalReal({"attention.clamp_kqv", "clip_qkv"}, 1e6));
  ReadMultipliers(f, variant, &config);
  config.rotation =
      ReadRotation(f, "full_attention", config.head_dim, variant.rope_base, c->trained_context);
  ReadWindows(f, variant, &config);
  ReadDenseLayers(f, variant, &config);
  ReadMixture(f, variant, &config);
  return config;
}

// One layer, and what its parts need.
class LayerBuilder {
 public:
  LayerBuilder(Compilation* c, const Config& config, const Variant& variant, std::uint32_t layer,
               const RopeWeights& rope)
      : c_(*c), b_(c->builder), config_(config), variant_(variant), i_(layer), rope_(rope) {}

  void Build() {
    b_.BeginBlock("layer." + std::to_string(i_));
    const Value x = b_.Input();
    const Value h = b_.Add("attn_add", x, Branch("attn_scale", Attention(x)));
    const Value n = Norm("ffn_norm", h, variant_.feed_norm);
    const Value f = config_.dense[i_]
                        ? AddFeedForward(&c_, "ffn", kDense, i_, n, config_.inner, config_.function)
                        : Experts(n);
    b_.Output(b_.Add("ffn_add", h, Branch("ffn_scale", f)));
  }

 private:
  Value Branch(std::string_view name, Value x) {
    return config_.branch_scale == 1 ? x : b_.Scale(name, x, config_.branch_scale);
  }

  Value Norm(std::string_view name, Value x, TensorName tensor) {
    const WeightRef gain = c_.Vector(tensor, ".weight", i_, config_.width);
    if (!variant_.layer_norms) return b_.RmsNorm(name, x, config_.epsilon, gain);
    return b_.LayerNorm(name, x, config_.epsilon, gain,
                        c_.Vector(tensor, ".bias", i_, config_.width));
  }

  Value Project(std::string_view name, Value x, TensorName tensor, std::uint32_t heads) {
    const std::uint32_t width = heads * config_.head_dim;
    return b_.Linear(name, x, c_.Matrix(tensor, i_, width, config_.width),
                     c_.Bias(tensor, i_, width, config_.attention_bias));
  }

  Value HeadNorm(std::string_view name, Value x, TensorName tensor, std::uint32_t heads) {
    if (variant_.head_norms == HeadNorms::kNone) return x;
    const std::uint32_t groups = variant_.head_norms == HeadNorms::kOfHeads ? heads : 1;
    return b_.RmsNorm(name, x, config_.epsilon, c_.Vector(tensor, ".weight", i_, x.width / groups),
                      groups);
  }

  Value Clip(std::string_view name, Value x) {
    return config_.clip == 0 ? x : b_.Clamp(name, x, config_.clip);
  }

  Value Attention(Value x) {
    const std::uint32_t heads = config_.heads;
    const std::uint32_t kv_heads = config_.kv_heads;
    const Value n = Norm("attn_norm", x, kAttentionNorm);
    Value q = Project("attn_q", n, kQuery, heads);
    Value k = Project("attn_k", n, kKey, kv_heads);
    const Value v = Clip("v_clip", Project("attn_v", n, kValue, kv_heads));
    q = Clip("q_clip", HeadNorm("q_norm", q, kQueryNorm, heads));
    k = Clip("k_clip", HeadNorm("k_norm", k, kKeyNorm, kv_heads));
    q = b_.Rope("q_rope", q, heads, rope_);
    k = b_.Rope("k_rope", k, kv_heads, rope_);
    AttentionSpec spec{heads,
                       kv_heads,
                       config_.head_dim,
                       config_.head_dim,
                       config_.windows[i_],
                       config_.attention_scale,
                       0,
                       {}};
    if (variant_.sinks) spec.sinks = c_.Vector(kSinks, c_.is_hf() ? "" : ".weight", i_, heads);
    const Value a = b_.Attention("attention", q, k, v, spec);
    return b_.LinearOfHeads("attn_out", a, c_.Matrix(kAttentionOut, i_, config_.width, a.width),
                            c_.Bias(kAttentionOut, i_, config_.width, config_.output_bias),
                            kv_heads);
  }

  Value Experts(Value n) {
    const Value logits =
        AddRouter(&c_, variant_.names.router, config_.experts, i_, n, variant_.router_bias);
    const Value y = b_.Moe("experts", n, logits, config_.experts.spec, Weights());
    if (!variant_.shared_expert) return y;
    const Value shared =
        AddFeedForward(&c_, "shared", kShared, i_, n, config_.shared, config_.function);
    const WeightRef matrix =
        c_.is_hf() ? c_.Matrix(kSharedGate, i_, 1, config_.width)
                   : c_.weights.RowMatrix(c_.Name(kSharedGate, ".weight", i_), config_.width);
    const Value open =
        b_.Activate("shared_open", b_.Linear("shared_score", n, matrix), v1::FUNCTION_SIGMOID);
    return b_.Add("shared_add", y, b_.MultiplyByColumn("shared_gated", shared, open));
  }

  ExpertsWeights Weights() {
    if (c_.is_hf() && variant_.layout == ExpertLayout::kHalves) return Halves();
    if (c_.is_hf() && variant_.layout == ExpertLayout::kInterleaved) return Interleaved();
    ExpertsWeights weights = FindExperts(&c_, variant_.names, config_.experts, i_, config_.width);
    if (variant_.router_bias) AddGgufBiases(&weights);
    return weights;
  }

  // Granite: gate and up of an expert are one matrix's upper and lower half.
  ExpertsWeights Halves() {
    const std::uint32_t inner = config_.experts.inner;
    const std::uint32_t experts = config_.experts.spec.experts;
    const std::string fused = c_.Name({"", variant_.names.up}, ".weight", i_);
    ExpertsWeights weights;
    for (std::uint32_t e = 0; e < experts; ++e) {
      weights.gate.push_back(
          c_.weights.MatrixOfStack(fused, experts, e, {0, inner, 2 * inner}, config_.width));
      weights.up.push_back(
          c_.weights.MatrixOfStack(fused, experts, e, {inner, inner, 2 * inner}, config_.width));
    }
    weights.down.push_back(c_.weights.Stack(c_.Name({"", variant_.names.down}, ".weight", i_),
                                            experts, config_.width, inner));
    return weights;
  }

  // gpt-oss: [expert, input, output], gate's and up's outputs in turn.
  ExpertsWeights Interleaved() {
    const std::uint32_t inner = config_.experts.inner;
    const std::uint32_t experts = config_.experts.spec.experts;
    const std::string fused = c_.Name({"", variant_.names.up}, "", i_);
    const std::string down = c_.Name({"", variant_.names.down}, "", i_);
    ExpertsWeights weights;
    const RowRange gate{0, inner, 2 * inner};
    const RowRange up{1, inner, 2 * inner};
    const auto stack = [&](const std::string& name, std::uint32_t inputs, RowRange outputs,
                           std::uint32_t step) {
      if (!config_.mxfp4) {
        return c_.weights.TransposedStack(name, experts, inputs, outputs, step);
      }
      return c_.weights.Mxfp4Stack(name + "_blocks", name + "_scales", experts, inputs, outputs,
                                   step);
    };
    weights.gate.push_back(stack(fused, config_.width, gate, 2));
    weights.up.push_back(stack(fused, config_.width, up, 2));
    weights.down.push_back(stack(down, inner, AllRows(config_.width), 1));
    weights.gate_bias = c_.weights.Table(fused + "_bias", experts, gate, 2);
    weights.up_bias = c_.weights.Table(fused + "_bias", experts, up, 2);
    weights.down_bias = c_.weights.Table(down + "_bias", experts, AllRows(config_.width), 1);
    return weights;
  }

  void AddGgufBiases(ExpertsWeights* weights) {
    const auto table = [&](std::string_view name, std::uint32_t width) {
      return c_.weights.Table(c_.Name({name, ""}, ".bias", i_), config_.experts.spec.experts,
                              AllRows(width), 1);
    };
    weights->gate_bias = table("blk.#.ffn_gate_exps", config_.experts.inner);
    weights->up_bias = table("blk.#.ffn_up_exps", config_.experts.inner);
    weights->down_bias = table("blk.#.ffn_down_exps", config_.width);
  }

  Compilation& c_;
  ProgramBuilder& b_;
  const Config& config_;
  const Variant& variant_;
  std::uint32_t i_;
  const RopeWeights& rope_;
};

void AddHead(Compilation* c, const Config& config, const Variant& variant, WeightRef table) {
  ProgramBuilder& b = c->builder;
  b.BeginBlock("head");
  const Value x = b.GatherOutputs("outputs", b.Input());
  const WeightRef gain = c->Vector(kFinalNorm, ".weight", 0, config.width);
  const Value n = variant.layer_norms ? b.LayerNorm("norm", x, config.epsilon, gain,
                                                    c->Vector(kFinalNorm, ".bias", 0, config.width))
                                      : b.RmsNorm("norm", x, config.epsilon, gain);
  // The head stands outside of what the prefix names.
  const std::string prefix = std::exchange(c->hf_prefix, "");
  const WeightRef head =
      config.tied ? table : c->Matrix(kHead, 0, c->vocabulary_size, config.width);
  Value logits =
      b.Linear("output", n, head, c->Bias(kHead, 0, c->vocabulary_size, config.head_bias));
  c->hf_prefix = prefix;
  if (config.logit_divisor != 1) logits = b.Scale("logits", logits, 1 / config.logit_divisor);
  b.Sample("sample", logits);
}

Status Compile(Compilation* c, const Variant& variant) {
  c->FindPrefix({"model.", ""}, "embed_tokens.weight");
  Fields fields(c->files, FamilyName(c->files), "");
  const Config config = ReadConfig(&fields, variant, c);
  ASSIGN_OR_RETURN(
      const WeightRef table,
      BeginDecoder(&fields,
                   {kEmbedding, config.width, config.layers, config.rotation.most_positions}, c));
  ProgramBuilder& b = c->builder;
  const Value ids = b.Embed("tokens", table, v1::Embed::SOURCE_ID);
  b.Output(config.embedding_scale == 1 ? ids
                                       : b.Scale("tokens_scale", ids, config.embedding_scale));
  const v1::Rope::Style style = c->is_hf() ? v1::Rope::STYLE_HALF : variant.gguf_rope;
  const RopeWeights rope = b.KeepRotation("rope", style, config.rotation);
  for (std::uint32_t i = 0; i < config.layers && c->weights.status().ok(); ++i) {
    LayerBuilder(c, config, variant, i, rope).Build();
  }
  AddHead(c, config, variant, table);
  return c->weights.status();
}

constexpr ExpertNames kMlpNames = {"layers.#.mlp.gate", "layers.#.mlp.experts.%.gate_proj",
                                   "layers.#.mlp.experts.%.up_proj",
                                   "layers.#.mlp.experts.%.down_proj"};
constexpr ExpertNames kBlockSparseNames = {
    "layers.#.block_sparse_moe.gate", "layers.#.block_sparse_moe.experts.%.w1",
    "layers.#.block_sparse_moe.experts.%.w3", "layers.#.block_sparse_moe.experts.%.w2"};
constexpr Key kLocalExperts = {"expert_count", "num_local_experts"};
constexpr Key kOnlyInner = {"feed_forward_length", "intermediate_size"};

}  // namespace

Status CompileMixtral(Compilation* c) {
  return Compile(c, {.names = kBlockSparseNames,
                     .score = v1::Moe::SCORE_TOP_THEN_SOFTMAX,
                     .experts = kLocalExperts,
                     .inner = kOnlyInner,
                     .gguf_rope = v1::Rope::STYLE_PAIR,
                     .epsilon = 1e-5,
                     .rope_base = 1e6});
}

Status CompileQwen2Moe(Compilation* c) {
  return Compile(
      c,
      {.names = kMlpNames, .always_query_bias = true, .shared_expert = true, .sparse_step = true});
}

Status CompileQwen3Moe(Compilation* c) {
  return Compile(c, {.names = kMlpNames,
                     .renormalize_gguf = true,
                     .head_norms = HeadNorms::kOfHeads,
                     .sparse_step = true});
}

Status CompileOlmoe(Compilation* c) {
  return Compile(
      c,
      {.names = kMlpNames, .inner = kOnlyInner, .head_norms = HeadNorms::kOfRows, .epsilon = 1e-5});
}

Status CompileGraniteMoe(Compilation* c) {
  return Compile(c, {.names = {"layers.#.block_sparse_moe.router.layer", "",
                               "layers.#.block_sparse_moe.input_linear",
                               "layers.#.block_sparse_moe.output_linear"},
                     .layout = ExpertLayout::kHalves,
                     .score = v1::Moe::SCORE_TOP_THEN_SOFTMAX,
                     .experts = kLocalExperts,
                     .inner = kOnlyInner,
                     .gguf_rope = v1::Rope::STYLE_PAIR,
                     .granite = true});
}

Status CompilePhimoe(Compilation* c) {
  return Compile(c, {.names = kBlockSparseNames,
                     .score = v1::Moe::SCORE_THRESHOLD,
                     .experts = kLocalExperts,
                     .inner = kOnlyInner,
                     .layer_norms = true,
                     .epsilon = 1e-5,
                     .rope_base = 1e6});
}

Status CompileGptOss(Compilation* c) {
  return Compile(c,
                 {.names = {"layers.#.mlp.router", "", "layers.#.mlp.experts.gate_up_proj",
                            "layers.#.mlp.experts.down_proj"},
                  .layout = ExpertLayout::kInterleaved,
                  .score = v1::Moe::SCORE_TOP_THEN_SOFTMAX,
                  .experts = kLocalExperts,
                  .inner = {"expert_feed_forward_length", "intermediate_size"},
                  .feed_norm = {"blk.#.post_attention_norm", "layers.#.post_attention_layernorm"},
                  .sinks = true,
                  .router_bias = true,
                  .alternating_window = true,
                  .epsilon = 1e-5,
                  .rope_base = 150000,
                  .limit = 7,
                  .offset = 1});
}

}  // namespace bramble::model::families
