// Jamba: layers of Mamba and layers of attention without positions; in some of them a mixture of
// experts stands for the feed-forward network.
#include <cmath>
#include <string>

#include "model/families/experts.h"
#include "model/families/mamba.h"
#include "model/families/table.h"

namespace bramble::model::families {
namespace {

constexpr TensorName kEmbedding = {"", "embed_tokens"};
constexpr TensorName kMixerNorm = {"", "layers.#.input_layernorm"};
constexpr TensorName kQuery = {"", "layers.#.self_attn.q_proj"};
constexpr TensorName kKey = {"", "layers.#.self_attn.k_proj"};
constexpr TensorName kValue = {"", "layers.#.self_attn.v_proj"};
constexpr TensorName kAttentionOut = {"", "layers.#.self_attn.o_proj"};
constexpr TensorName kFeedNorm = {"", "layers.#.pre_ff_layernorm"};
constexpr TensorName kFinalNorm = {"", "final_layernorm"};
constexpr TensorName kHead = {"", "lm_head"};
constexpr std::string_view kRouter = "layers.#.feed_forward.router";
constexpr ExpertNames kExperts = {kRouter, "layers.#.feed_forward.experts.%.gate_proj",
                                  "layers.#.feed_forward.experts.%.up_proj",
                                  "layers.#.feed_forward.experts.%.down_proj"};
constexpr FeedForwardNames kFeedForward = {{"", "layers.#.feed_forward.gate_proj"},
                                           {"", "layers.#.feed_forward.up_proj"},
                                           {"", "layers.#.feed_forward.down_proj"}};

struct Config {
  std::uint32_t width = 0;
  std::uint32_t layers = 0;
  std::uint32_t heads = 0;
  std::uint32_t kv_heads = 0;
  std::uint32_t attention_period = 1, attention_offset = 0;
  std::uint32_t expert_period = 1, expert_offset = 0;
  float epsilon = 0;
  bool tied = false;
  v1::Function function = v1::FUNCTION_SILU;
  ExpertsConfig experts;
  MambaMixer mixer{{"", "layers.#.mamba.in_proj"},     {"", "layers.#.mamba.conv1d"},
                   {"", "layers.#.mamba.x_proj"},      {"", "layers.#.mamba.dt_proj"},
                   {"", "layers.#.mamba.A_log"},       {"", "layers.#.mamba.D"},
                   {"", "layers.#.mamba.out_proj"},    {"", "layers.#.mamba.dt_layernorm"},
                   {"", "layers.#.mamba.b_layernorm"}, {"", "layers.#.mamba.c_layernorm"}};
};

Config ReadConfig(Fields* f, Compilation* c) {
  // The defaults are those of transformers' JambaConfig.
  Config config;
  RefuseQuantized(f, c->files);
  config.width = f->CountOrHfDefault({"", "hidden_size"}, 1, kMostWidth / 4, 4096);
  config.layers = f->CountOrHfDefault({"", "num_hidden_layers"}, 1, kMostLayers, 32);
  config.heads = f->CountOrHfDefault({"", "num_attention_heads"}, 1, kMostHeads, 32);
  config.kv_heads = f->CountOrHfDefault({"", "num_key_value_heads"}, 1, kMostHeads, 8);
  config.attention_period = f->CountOrHfDefault({"", "attn_layer_period"}, 1, kMostLayers, 8);
  config.attention_offset = f->CountOrHfDefault({"", "attn_layer_offset"}, 0, kMostLayers, 4);
  config.expert_period = f->CountOrHfDefault({"", "expert_layer_period"}, 1, kMostLayers, 2);
  config.expert_offset = f->CountOrHfDefault({"", "expert_layer_offset"}, 0, kMostLayers, 1);
  config.epsilon = static_cast<float>(f->Real({"", "rms_norm_eps"}, 0, 1, 1e-6));
  config.tied = f->Flag({"", "tie_word_embeddings"}, false);
  config.function = ReadFunction(f, {"", "hidden_act"}, "silu");
  config.experts =
      ReadExperts(f, {"", "num_experts"}, {"", "num_experts_per_tok"}, {"", "intermediate_size"});
  MambaMixer& mixer = config.mixer;
  mixer.inner = f->CountOrHfDefault({"", "mamba_expand"}, 1, 16, 2) * config.width;
  mixer.state = f->CountOrHfDefault({"", "mamba_d_state"}, 1, 1024, 16);
  mixer.kernel = f->CountOrHfDefault({"", "mamba_d_conv"}, 2, 64, 4);
  mixer.step_rank = ReadStepRank(f, {"", "mamba_dt_rank"}, config.width);
  mixer.epsilon = config.epsilon;
  mixer.tap_bias = f->Flag({"", "mamba_conv_bias"}, true);
  mixer.bias = f->Flag({"", "mamba_proj_bias"}, false);
  mixer.function = config.function;
  c->trained_context =
      f->CountOrHfDefault({"", "max_position_embeddings"}, 1, kMostPositions, 262144);
  if (config.width % config.heads != 0 || config.heads % config.kv_heads != 0) {
    f->Refuse(Invalid("the width ", config.width, ", ", config.heads, " heads and ",
                      config.kv_heads, " key-value heads do not fit together"));
  }
  if (f->Find({"", "sliding_window"}) != nullptr) {
    f->Refuse(Unimplemented(f->Place({"", "sliding_window"}), ": windows are not run here"));
  }
  return config;
}

Value AddAttention(Compilation* c, const Config& config, std::uint32_t i, Value n) {
  ProgramBuilder& b = c->builder;
  const std::uint32_t dims = config.width / config.heads;
  const std::uint32_t kv_width = config.kv_heads * dims;
  const Value q = b.Linear("attn_q", n, c->Matrix(kQuery, i, config.width, config.width));
  const Value k = b.Linear("attn_k", n, c->Matrix(kKey, i, kv_width, config.width));
  const Value v = b.Linear("attn_v", n, c->Matrix(kValue, i, kv_width, config.width));
  AttentionSpec spec;
  spec.heads = config.heads;
  spec.kv_heads = config.kv_heads;
  spec.key_dim = spec.value_dim = dims;
  spec.scale = static_cast<float>(1 / std::sqrt(static_cast<double>(dims)));
  const Value a = b.Attention("attention", q, k, v, spec);
  return b.LinearOfHeads("attn_out", a, c->Matrix(kAttentionOut, i, config.width, config.width), {},
                         config.kv_heads);
}

Value AddFeed(Compilation* c, const Config& config, std::uint32_t i, Value n) {
  const ExpertsConfig& experts = config.experts;
  const bool mixed = experts.spec.experts > 1 && i % config.expert_period == config.expert_offset;
  if (!mixed) {
    return AddFeedForward(c, "ffn", kFeedForward, i, n, experts.inner, config.function);
  }
  const Value logits = AddRouter(c, kRouter, experts, i, n);
  return c->builder.Moe("experts", n, logits, experts.spec,
                        FindExperts(c, kExperts, experts, i, config.width));
}

}  // namespace

Status CompileJamba(Compilation* c) {
  if (!c->is_hf()) return Unimplemented("this family is read from Hugging Face folders only");
  c->FindPrefix({"model.", ""}, "embed_tokens.weight");
  Fields fields(c->files, FamilyName(c->files), "");
  Config config = ReadConfig(&fields, c);
  config.experts.spec.score = v1::Moe::SCORE_SOFTMAX_THEN_TOP;
  config.experts.spec.renormalize = false;
  config.experts.spec.function = config.function;
  ASSIGN_OR_RETURN(const WeightRef table,
                   BeginDecoder(&fields, {kEmbedding, config.width, config.layers, 0}, c));
  ProgramBuilder& b = c->builder;
  b.Output(b.Embed("tokens", table, v1::Embed::SOURCE_ID));
  for (std::uint32_t i = 0; i < config.layers && c->weights.status().ok(); ++i) {
    b.BeginBlock("layer." + std::to_string(i));
    const Value x = b.Input();
    const Value n = b.RmsNorm("mixer_norm", x, config.epsilon,
                              c->Vector(kMixerNorm, ".weight", i, config.width));
    const bool attends = i % config.attention_period == config.attention_offset;
    const Value y = attends ? AddAttention(c, config, i, n) : AddMambaMixer(c, config.mixer, i, n);
    const Value h = b.Add("mixer_add", x, y);
    const Value m =
        b.RmsNorm("ffn_norm", h, config.epsilon, c->Vector(kFeedNorm, ".weight", i, config.width));
    b.Output(b.Add("ffn_add", h, AddFeed(c, config, i, m)));
  }
  b.BeginBlock("head");
  const Value n = b.RmsNorm("norm", b.GatherOutputs("outputs", b.Input()), config.epsilon,
                            c->Vector(kFinalNorm, ".weight", 0, config.width));
  const WeightRef head = c->Head(kHead, config.tied, table, config.width);
  b.Sample("sample", b.Linear("output", n, head));
  return c->weights.status();
}

}  // namespace bramble::model::families
