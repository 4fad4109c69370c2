// RWKV-4: a weighted average of all values so far in place of attention; every input is mixed with
// the row before.
#include <algorithm>
#include <string>

#include "model/families/table.h"

namespace bramble::model::families {
namespace {

constexpr TensorName kEmbedding = {"", "embeddings"};
constexpr TensorName kFirstNorm = {"", "blocks.0.pre_ln"};
constexpr TensorName kTimeNorm = {"", "blocks.#.ln1"};
constexpr TensorName kTimeMixKey = {"", "blocks.#.attention.time_mix_key"};
constexpr TensorName kTimeMixValue = {"", "blocks.#.attention.time_mix_value"};
constexpr TensorName kTimeMixReceptance = {"", "blocks.#.attention.time_mix_receptance"};
constexpr TensorName kTimeKey = {"", "blocks.#.attention.key"};
constexpr TensorName kTimeValue = {"", "blocks.#.attention.value"};
constexpr TensorName kTimeReceptance = {"", "blocks.#.attention.receptance"};
constexpr TensorName kTimeOut = {"", "blocks.#.attention.output"};
constexpr TensorName kDecay = {"", "blocks.#.attention.time_decay"};
constexpr TensorName kFirst = {"", "blocks.#.attention.time_first"};
constexpr TensorName kChannelNorm = {"", "blocks.#.ln2"};
constexpr TensorName kChannelMixKey = {"", "blocks.#.feed_forward.time_mix_key"};
constexpr TensorName kChannelMixReceptance = {"", "blocks.#.feed_forward.time_mix_receptance"};
constexpr TensorName kChannelKey = {"", "blocks.#.feed_forward.key"};
constexpr TensorName kChannelReceptance = {"", "blocks.#.feed_forward.receptance"};
constexpr TensorName kChannelValue = {"", "blocks.#.feed_forward.value"};
constexpr TensorName kFinalNorm = {"", "ln_out"};
constexpr TensorName kHead = {"", "head"};

constexpr float kFinalEpsilon = 1e-5F;  // of torch.nn.LayerNorm: the last norm is not told another

struct Config {
  std::uint32_t width = 0;
  std::uint32_t layers = 0;
  std::uint32_t attention_width = 0;
  std::uint32_t inner = 0;
  float epsilon = 0;
};

Config ReadConfig(Fields* f, Compilation* c) {
  // The defaults are those of transformers' RwkvConfig. `rescale_every` halves values and weights
  // alike, for the sake of F16: in F32 there is nothing to do.
  Config config;
  RefuseStrangers(f, c->files);
  config.width = f->CountOrHfDefault({"", "hidden_size"}, 1, kMostWidth / 4, 4096);
  config.layers = f->CountOrHfDefault({"", "num_hidden_layers"}, 1, kMostLayers, 32);
  config.attention_width = f->Count({"", "attention_hidden_size"}, 1, kMostWidth, config.width);
  config.inner = f->Count({"", "intermediate_size"}, 1, kMostWidth, 4 * config.width);
  config.epsilon = static_cast<float>(f->Real({"", "layer_norm_epsilon"}, 0, 1, 1e-5));
  c->trained_context = f->CountOrHfDefault({"", "context_length"}, 1, kMostPositions, 1024);
  return config;
}

Value Norm(Compilation* c, float epsilon, std::string_view name, Value x, TensorName tensor,
           std::uint32_t i) {
  return c->builder.LayerNorm(name, x, epsilon, c->Vector(tensor, ".weight", i, x.width),
                              c->Vector(tensor, ".bias", i, x.width));
}

// m * x + (1 - m) * the row before, as a convolution of two taps, and a product with a matrix.
Value MixedLinear(Compilation* c, const std::string& name, Value x, TensorName mix,
                  TensorName matrix, std::uint32_t i, std::uint32_t outputs) {
  const WeightRef taps = c->weights.Floats(c->Name(mix, "", i), 1, x.width, Made::kTokenShift);
  const Value mixed = c->builder.Convolution(name + "_mix", x, taps, {});
  return c->builder.Linear(name, mixed, c->Matrix(matrix, i, outputs, x.width));
}

Value AddTimeMix(Compilation* c, const Config& config, std::uint32_t i, Value x) {
  ProgramBuilder& b = c->builder;
  const std::uint32_t width = config.attention_width;
  const Value n = Norm(c, config.epsilon, "time_norm", x, kTimeNorm, i);
  const Value k = MixedLinear(c, "time_k", n, kTimeMixKey, kTimeKey, i, width);
  const Value v = MixedLinear(c, "time_v", n, kTimeMixValue, kTimeValue, i, width);
  const Value r = MixedLinear(c, "time_r", n, kTimeMixReceptance, kTimeReceptance, i, width);
  const WeightRef decay = c->weights.Floats(c->Name(kDecay, "", i), width, 0, Made::kNegatedExp);
  const WeightRef first = c->weights.Floats(c->Name(kFirst, "", i), width, 0, Made::kPlain);
  const Value y = b.Gate("time_gate", r, b.Wkv("wkv", k, v, decay, first), v1::FUNCTION_SIGMOID);
  return b.Linear("time_out", y, c->Matrix(kTimeOut, i, config.width, width));
}

Value AddChannelMix(Compilation* c, const Config& config, std::uint32_t i, Value x) {
  ProgramBuilder& b = c->builder;
  const Value n = Norm(c, config.epsilon, "channel_norm", x, kChannelNorm, i);
  const Value k = MixedLinear(c, "channel_k", n, kChannelMixKey, kChannelKey, i, config.inner);
  const Value r =
      MixedLinear(c, "channel_r", n, kChannelMixReceptance, kChannelReceptance, i, config.width);
  const Value f = b.Activate("channel_act", k, v1::FUNCTION_RELU_SQUARED);
  const Value v = b.Linear("channel_v", f, c->Matrix(kChannelValue, i, config.width, config.inner));
  return b.Gate("channel_gate", r, v, v1::FUNCTION_SIGMOID);
}

}  // namespace

Status CompileRwkv(Compilation* c) {
  if (!c->is_hf()) return Unimplemented("this family is read from Hugging Face folders only");
  c->FindPrefix({"rwkv.", ""}, "embeddings.weight");
  Fields fields(c->files, FamilyName(c->files), "");
  const Config config = ReadConfig(&fields, c);
  // What it was trained with is no limit of what it can run.
  const std::uint32_t most = std::max(c->options.context_length, c->trained_context);
  ASSIGN_OR_RETURN(const WeightRef table,
                   BeginDecoder(&fields, {kEmbedding, config.width, config.layers, most}, c));
  ProgramBuilder& b = c->builder;
  const Value tokens = b.Embed("tokens", table, v1::Embed::SOURCE_ID);
  b.Output(Norm(c, config.epsilon, "embed_norm", tokens, kFirstNorm, 0));
  for (std::uint32_t i = 0; i < config.layers && c->weights.status().ok(); ++i) {
    b.BeginBlock("layer." + std::to_string(i));
    const Value x = b.Input();
    const Value h = b.Add("time_add", x, AddTimeMix(c, config, i, x));
    b.Output(b.Add("channel_add", h, AddChannelMix(c, config, i, h)));
  }
  b.BeginBlock("head");
  const Value n =
      Norm(c, kFinalEpsilon, "norm", b.GatherOutputs("outputs", b.Input()), kFinalNorm, 0);
  const WeightRef head = c->Head(kHead, !c->HasHead(kHead), table, config.width);
  b.Sample("sample", b.Linear("output", n, head));
  return c->weights.status();
}

}  // namespace bramble::model::families
