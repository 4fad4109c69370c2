// DeepSeek V2 and V3: attention over a latent that keys and values are made from, experts in groups
// with others beside them that every row goes through.
#include <cmath>
#include <string>
#include <utility>

#include "model/families/experts.h"
#include "model/families/table.h"

namespace bramble::model::families {
namespace {

constexpr TensorName kEmbedding = {"token_embd", "embed_tokens"};
constexpr TensorName kAttentionNorm = {"blk.#.attn_norm", "layers.#.input_layernorm"};
constexpr TensorName kQuery = {"blk.#.attn_q", "layers.#.self_attn.q_proj"};
constexpr TensorName kQueryDown = {"blk.#.attn_q_a", "layers.#.self_attn.q_a_proj"};
constexpr TensorName kQueryNorm = {"blk.#.attn_q_a_norm", "layers.#.self_attn.q_a_layernorm"};
constexpr TensorName kQueryUp = {"blk.#.attn_q_b", "layers.#.self_attn.q_b_proj"};
constexpr TensorName kLatent = {"blk.#.attn_kv_a_mqa", "layers.#.self_attn.kv_a_proj_with_mqa"};
constexpr TensorName kLatentNorm = {"blk.#.attn_kv_a_norm", "layers.#.self_attn.kv_a_layernorm"};
constexpr TensorName kKeyValue = {"blk.#.attn_kv_b", "layers.#.self_attn.kv_b_proj"};
constexpr TensorName kAttentionOut = {"blk.#.attn_output", "layers.#.self_attn.o_proj"};
constexpr TensorName kFeedNorm = {"blk.#.ffn_norm", "layers.#.post_attention_layernorm"};
constexpr TensorName kFinalNorm = {"output_norm", "norm"};
constexpr TensorName kHead = {"output", "lm_head"};
constexpr FeedForwardNames kDense = {{"blk.#.ffn_gate", "layers.#.mlp.gate_proj"},
                                     {"blk.#.ffn_up", "layers.#.mlp.up_proj"},
                                     {"blk.#.ffn_down", "layers.#.mlp.down_proj"}};
constexpr FeedForwardNames kShared = {
    {"blk.#.ffn_gate_shexp", "layers.#.mlp.shared_experts.gate_proj"},
    {"blk.#.ffn_up_shexp", "layers.#.mlp.shared_experts.up_proj"},
    {"blk.#.ffn_down_shexp", "layers.#.mlp.shared_experts.down_proj"}};
constexpr ExpertNames kExperts = {"layers.#.mlp.gate", "layers.#.mlp.experts.%.gate_proj",
                                  "layers.#.mlp.experts.%.up_proj",
                                  "layers.#.mlp.experts.%.down_proj"};
constexpr TensorName kSelectionBias = {"blk.#.exp_probs_b.bias",
                                       "layers.#.mlp.gate.e_score_correction_bias"};

// Of the norms within an attention, whatever the description says of the others.
constexpr float kLatentEpsilon = 1e-6F;

struct Config {
  std::uint32_t width = 0;
  std::uint32_t layers = 0;
  std::uint32_t heads = 0;
  std::uint32_t query_rank = 0;   // 0: queries are made from the row itself
  std::uint32_t latent_rank = 0;  // of keys and values
  std::uint32_t plain_dim = 0;    // of a head's query and key: not turned
  std::uint32_t turned_dim = 0;   // turned, one key for all heads
  std::uint32_t value_dim = 0;
  std::uint32_t inner = 0;
  std::uint32_t dense_layers = 0;  // the first so many have no experts
  std::uint32_t shared = 0;        // width of all shared experts together; 0: none
  float epsilon = 0;
  float scale = 0;
  bool attention_bias = false;
  bool tied = false;
  bool turns_pairs = true;
  v1::Function function = v1::FUNCTION_SILU;
  ExpertsConfig experts;
  Rotation rotation;

  std::uint32_t key_dim() const { return plain_dim + turned_dim; }
};

void ReadDims(Fields* f, Config* config) {
  config->heads = f->Count({"attention.head_count", "num_attention_heads"}, 1, kMostHeads);
  config->query_rank = f->Count({"attention.q_lora_rank", "q_lora_rank"}, 0, kMostWidth, 0);
  config->latent_rank = f->Count({"attention.kv_lora_rank", "kv_lora_rank"}, 1, kMostWidth);
  config->turned_dim = f->Count({"rope.dimension_count", "qk_rope_head_dim"}, 2, kMostHeadDim);
  // Files made for latent attention without expansion say so under names of their own.
  const bool own = f->Has({"attention.key_length_mla", ""});
  const std::uint32_t key =
      f->Count({own ? "attention.key_length_mla" : "attention.key_length", ""}, 1, kMostHeadDim, 1);
  config->plain_dim = f->is_hf() ? f->Count({"", "qk_nope_head_dim"}, 1, kMostHeadDim)
                                 : (key > config->turned_dim ? key - config->turned_dim : 1);
  config->value_dim =
      f->Count({own ? "attention.value_length_mla" : "attention.value_length", "v_head_dim"}, 1,
               kMostHeadDim);
  if (config->turned_dim % 2 != 0 || (!f->is_hf() && key <= config->turned_dim)) {
    f->Refuse(
        Invalid("heads of ", key, " numbers of which ", config->turned_dim, " would be rotated"));
  }
}

// YaRN scales scores by the square of what it would scale cosines by, by the factor of all
// dimensions.
float AttentionScale(Fields* f, const Config& config) {
  double scale = 1 / std::sqrt(static_cast<double>(config.key_dim()));
  const auto number = [&](Key key) { return f->OptionalReal(key, 1e6); };
  const bool old = f->Has({"", "rope_scaling.factor"});
  const double factor =
      number({"rope.scaling.factor", old ? "rope_scaling.factor" : "rope_parameters.factor"});
  double all = number({"", old ? "rope_scaling.mscale_all_dim" : "rope_parameters.mscale_all_dim"});
  // GGUF keeps a tenth of it.
  if (!f->is_hf()) all = 10 * number({"rope.scaling.yarn_log_multiplier", ""});
  if (factor > 1 && all > 0) {
    const double magnitude = 0.1 * all * std::log(factor) + 1;
    scale *= magnitude * magnitude;
  }
  return static_cast<float>(scale);
}

void ReadGroups(Fields* f, bool third, ExpertsSpec* spec) {
  const std::uint32_t groups = f->Count({"expert_group_count", "n_group"}, 0, spec->experts, 0);
  const std::string method = f->Text({"", "topk_method"}, third ? "noaux_tc" : "greedy");
  if (groups <= 1 || (!third && f->is_hf() && method == "greedy")) return;
  spec->groups = groups;
  spec->groups_per_row = f->Count({"expert_group_used_count", "topk_group"}, 1, groups);
  spec->group_score = third ? v1::Moe::GROUP_SCORE_TOP_TWO : v1::Moe::GROUP_SCORE_MAX;
}

void ReadMixture(Fields* f, bool third, Config* config) {
  constexpr std::uint32_t kSigmoid = 2;  // GGUF's number of the function
  config->experts = ReadExperts(f, {"expert_count", "n_routed_experts"},
                                {"expert_used_count", "num_experts_per_tok"},
                                {"expert_feed_forward_length", "moe_intermediate_size"});
  ExpertsSpec& spec = config->experts.spec;
  const std::uint32_t function = f->Count({"expert_gating_func", ""}, 0, kSigmoid, 0);
  const bool sigmoid = f->is_hf() ? third : function == kSigmoid;
  spec.score = sigmoid ? v1::Moe::SCORE_SIGMOID : v1::Moe::SCORE_SOFTMAX_THEN_TOP;
  spec.scale =
      static_cast<float>(f->Real({"expert_weights_scale", "routed_scaling_factor"}, 0, 1e6, 1));
  // V2's own code renormalizes nothing, whatever its description says.
  spec.renormalize = f->is_hf() ? third && f->Flag({"", "norm_topk_prob"}, true)
                                : f->Flag({"expert_weights_norm", ""}, false);
  spec.function = config->function;
  ReadGroups(f, sigmoid, &spec);
  const std::uint32_t shared = f->Count({"expert_shared_count", "n_shared_experts"}, 0, 256, 0);
  config->shared = shared * config->experts.inner;
  config->dense_layers =
      f->Count({"leading_dense_block_count", "first_k_dense_replace"}, 0, kMostLayers, 0);
  if (f->Count({"", "moe_layer_freq"}, 0, kMostLayers, 1) != 1) {
    f->Refuse(Unimplemented(f->Place({"", "moe_layer_freq"}), " is not 1"));
  }
}

Config ReadConfig(Fields* f, bool third, Compilation* c) {
  Config config;
  RefuseQuantized(f, c->files);
  config.width = f->Count({"embedding_length", "hidden_size"}, 1, kMostWidth);
  config.layers = f->Count({"block_count", "num_hidden_layers"}, 1, kMostLayers);
  config.inner = f->Count({"feed_forward_length", "intermediate_size"}, 1, kMostWidth);
  config.epsilon = static_cast<float>(
      f->RealOrHfDefault({"attention.layer_norm_rms_epsilon", "rms_norm_eps"}, 0, 1, 1e-6));
  c->trained_context =
      f->CountOrHfDefault({"context_length", "max_position_embeddings"}, 1, kMostPositions, 2048);
  config.attention_bias = f->Flag({"", "attention_bias"}, false);
  config.tied =
      c->is_hf() ? f->Flag({"", "tie_word_embeddings"}, false) : !c->weights.Has("output.weight");
  config.turns_pairs = f->Flag({"", "rope_interleave"}, true);
  config.function = ReadFunction(f, {"", "hidden_act"}, "silu");
  ReadDims(f, &config);
  config.scale = AttentionScale(f, config);
  config.rotation = ReadRotation(f, "full_attention", config.turned_dim, 10000, c->trained_context);
  ReadMixture(f, third, &config);
  return config;
}

class LayerBuilder {
 public:
  LayerBuilder(Compilation* c, const Config& config, std::uint32_t layer, const RopeWeights& rope)
      : c_(*c), b_(c->builder), config_(config), i_(layer), rope_(rope) {}

  void Build() {
    b_.BeginBlock("layer." + std::to_string(i_));
    const Value x = b_.Input();
    const Value h = b_.Add("attn_add", x, Attention(x));
    const Value n = Norm("ffn_norm", h, kFeedNorm, config_.epsilon);
    const Value f = i_ < config_.dense_layers
                        ? AddFeedForward(&c_, "ffn", kDense, i_, n, config_.inner, config_.function)
                        : Experts(n);
    b_.Output(b_.Add("ffn_add", h, f));
  }

 private:
  Value Norm(std::string_view name, Value x, TensorName tensor, float epsilon) {
    return b_.RmsNorm(name, x, epsilon, c_.Vector(tensor, ".weight", i_, x.width));
  }

  Value Project(std::string_view name, Value x, TensorName tensor, std::uint32_t outputs,
                bool bias) {
    return b_.Linear(name, x, c_.Matrix(tensor, i_, outputs, x.width),
                     c_.Bias(tensor, i_, outputs, bias));
  }

  // Of each head first what is not turned.
  Value Queries(Value n) {
    const std::uint32_t width = config_.heads * config_.key_dim();
    Value q = n;
    if (config_.query_rank == 0) {
      q = Project("attn_q", n, kQuery, width, false);
    } else {
      q = Project("attn_q_a", n, kQueryDown, config_.query_rank, config_.attention_bias);
      q = Project("attn_q_b", Norm("q_a_norm", q, kQueryNorm, kLatentEpsilon), kQueryUp, width,
                  false);
    }
    RopeWeights rope = rope_;
    rope.first = config_.plain_dim;
    return b_.Rope("q_rope", q, config_.heads, rope);
  }

  Value Attention(Value x) {
    const std::uint32_t heads = config_.heads;
    const std::uint32_t plain = config_.plain_dim;
    const Value n = Norm("attn_norm", x, kAttentionNorm, config_.epsilon);
    const Value q = Queries(n);
    const Value both = Project("attn_kv_a", n, kLatent, config_.latent_rank + config_.turned_dim,
                               config_.attention_bias);
    const Value turned = b_.Rope(
        "k_rope", b_.Slice("k_shared", both, 1, config_.latent_rank, config_.turned_dim), 1, rope_);
    const Value latent = Norm("kv_a_norm", b_.Slice("latent", both, 1, 0, config_.latent_rank),
                              kLatentNorm, kLatentEpsilon);
    const Value kv =
        Project("attn_kv_b", latent, kKeyValue, heads * (plain + config_.value_dim), false);
    const Value k =
        b_.Concatenate("keys", b_.Slice("k_plain", kv, heads, 0, plain), turned, heads, true);
    const Value v = b_.Slice("values", kv, heads, plain, config_.value_dim);
    const Value a =
        b_.Attention("attention", q, k, v,
                     {heads, heads, config_.key_dim(), config_.value_dim, 0, config_.scale, 0, {}});
    return b_.LinearOfHeads("attn_out", a, c_.Matrix(kAttentionOut, i_, config_.width, a.width),
                            c_.Bias(kAttentionOut, i_, config_.width, config_.attention_bias),
                            heads);
  }

  Value Experts(Value n) {
    const ExpertsConfig& experts = config_.experts;
    const Value logits = AddRouter(&c_, kExperts.router, experts, i_, n);
    ExpertsWeights weights = FindExperts(&c_, kExperts, experts, i_, config_.width);
    if (c_.Has(kSelectionBias, "", i_)) {
      weights.selection_bias = c_.Vector(kSelectionBias, "", i_, experts.spec.experts);
    }
    const Value y = b_.Moe("experts", n, logits, experts.spec, weights);
    if (config_.shared == 0) return y;
    return b_.Add("shared_add", y,
                  AddFeedForward(&c_, "shared", kShared, i_, n, config_.shared, config_.function));
  }

  Compilation& c_;
  ProgramBuilder& b_;
  const Config& config_;
  std::uint32_t i_;
  const RopeWeights& rope_;
};

Status Compile(Compilation* c, bool third) {
  c->FindPrefix({"model.", ""}, "embed_tokens.weight");
  Fields fields(c->files, FamilyName(c->files), "");
  const Config config = ReadConfig(&fields, third, c);
  ASSIGN_OR_RETURN(
      const WeightRef table,
      BeginDecoder(&fields,
                   {kEmbedding, config.width, config.layers, config.rotation.most_positions}, c));
  ProgramBuilder& b = c->builder;
  b.Output(b.Embed("tokens", table, v1::Embed::SOURCE_ID));
  const v1::Rope::Style style = config.turns_pairs ? v1::Rope::STYLE_PAIR : v1::Rope::STYLE_HALF;
  const RopeWeights rope = b.KeepRotation("rope", style, config.rotation);
  for (std::uint32_t i = 0; i < config.layers && c->weights.status().ok(); ++i) {
    LayerBuilder(c, config, i, rope).Build();
  }
  b.BeginBlock("head");
  const Value x = b.GatherOutputs("outputs", b.Input());
  const Value n =
      b.RmsNorm("norm", x, config.epsilon, c->Vector(kFinalNorm, ".weight", 0, config.width));
  const WeightRef head = c->Head(kHead, config.tied, table, config.width);
  b.Sample("sample", b.Linear("output", n, head));
  return c->weights.status();
}

}  // namespace

Status CompileDeepseekV2(Compilation* c) { return Compile(c, false); }

Status CompileDeepseekV3(Compilation* c) { return Compile(c, true); }

}  // namespace bramble::model::families
