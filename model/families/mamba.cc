// Mamba and Mamba-2: no attention; each layer is a short convolution and a recurrence with a state.
#include "model/families/mamba.h"

#include <algorithm>
#include <string>

#include "model/families/table.h"

namespace bramble::model::families {
namespace {

constexpr TensorName kEmbedding = {"", "embeddings"};
constexpr TensorName kNorm = {"", "layers.#.norm"};
constexpr TensorName kIn = {"", "layers.#.mixer.in_proj"};
constexpr TensorName kTaps = {"", "layers.#.mixer.conv1d"};
constexpr TensorName kSelect = {"", "layers.#.mixer.x_proj"};
constexpr TensorName kStep = {"", "layers.#.mixer.dt_proj"};
constexpr TensorName kStepBias = {"", "layers.#.mixer.dt_bias"};
constexpr TensorName kDecay = {"", "layers.#.mixer.A_log"};
constexpr TensorName kSkip = {"", "layers.#.mixer.D"};
constexpr TensorName kGatedNorm = {"", "layers.#.mixer.norm"};
constexpr TensorName kOut = {"", "layers.#.mixer.out_proj"};
constexpr TensorName kFinalNorm = {"", "norm_f"};
constexpr TensorName kHead = {"", "lm_head"};

// There is no table of positions: only what a worker keeps of each id limits them.
constexpr std::uint32_t kUsualPositions = 1U << 15U;
constexpr std::uint32_t kMostState = 1024;
constexpr std::uint32_t kMostKernel = 64;

struct Config {
  std::uint32_t width = 0;
  std::uint32_t layers = 0;
  std::uint32_t inner = 0;
  std::uint32_t state = 0;
  std::uint32_t kernel = 0;
  std::uint32_t step_rank = 0;  // of Mamba
  std::uint32_t heads = 0;      // of Mamba-2
  std::uint32_t groups = 1;     // of Mamba-2
  float epsilon = 0;
  float longest_step = 0;  // 0: no limit
  bool tap_bias = true;
  bool bias = false;
  v1::Function function = v1::FUNCTION_SILU;
};

Config ReadCommon(Fields* f, Compilation* c) {
  Config config;
  RefuseStrangers(f, c->files);
  config.width = f->CountOrHfDefault({"", "hidden_size"}, 1, kMostWidth / 4, 768);
  config.layers = f->CountOrHfDefault({"", "num_hidden_layers"}, 1, kMostLayers, 32);
  config.state = f->CountOrHfDefault({"", "state_size"}, 1, kMostState, 16);
  config.kernel = f->CountOrHfDefault({"", "conv_kernel"}, 2, kMostKernel, 4);
  config.epsilon = static_cast<float>(f->Real({"", "layer_norm_epsilon"}, 0, 1, 1e-5));
  config.tap_bias = f->Flag({"", "use_conv_bias"}, true);
  config.bias = f->Flag({"", "use_bias"}, false);
  config.function = ReadFunction(f, {"", "hidden_act"}, "silu");
  c->trained_context = kUsualPositions;
  return config;
}

// The longest step that "time_step_limit" [low, high] allows.
float ReadLongestStep(Fields* f) {
  constexpr Key kLimit = {"", "time_step_limit"};
  const files::MetaValue* list = f->Find(kLimit);
  if (list == nullptr) return 0;
  const auto numbers = list->Numbers(2);
  // Its usual end, infinity, is no number of JSON.
  if (!numbers.ok() || numbers->size() != 2) return 0;
  if ((*numbers)[0] > 0) {
    f->Refuse(Unimplemented(f->Place(kLimit), ": a shortest step above 0 is not run"));
  }
  return static_cast<float>((*numbers)[1]);
}

Config ReadMamba(Fields* f, Compilation* c) {
  Config config = ReadCommon(f, c);
  const std::uint32_t expand = f->Count({"", "expand"}, 1, 16, 2);
  config.inner = f->Count({"", "intermediate_size"}, 1, kMostWidth, expand * config.width);
  config.step_rank = ReadStepRank(f, {"", "time_step_rank"}, config.width);
  return config;
}

Config ReadMamba2(Fields* f, Compilation* c) {
  Config config = ReadCommon(f, c);
  config.inner = f->Count({"", "expand"}, 1, 16, 2) * config.width;
  config.heads = f->CountOrHfDefault({"", "num_heads"}, 1, kMostHeads, 128);
  config.groups = f->CountOrHfDefault({"", "n_groups"}, 1, kMostHeads, 8);
  config.longest_step = ReadLongestStep(f);
  const std::uint32_t head_dim = f->CountOrHfDefault({"", "head_dim"}, 1, kMostHeadDim, 64);
  if (std::uint64_t{config.heads} * head_dim != config.inner || config.heads % config.groups != 0) {
    f->Refuse(Invalid(config.heads, " heads of ", head_dim, " in ", config.groups,
                      " groups do not make the inner width ", config.inner));
  }
  if (config.bias) {
    f->Refuse(Unimplemented(f->Place({"", "use_bias"}), ": biases of the projections are not run"));
  }
  if (!f->Flag({"", "rms_norm"}, true)) {
    f->Refuse(Unimplemented(f->Place({"", "rms_norm"}), ": a mixer without its norm is not run"));
  }
  return config;
}

// Rows of a matrix, as one product; `bias`: whether the tensor has one.
Value Part(Compilation* c, std::string_view name, Value x, TensorName tensor, std::uint32_t i,
           RowRange rows, bool bias) {
  std::optional<WeightRef> vector;
  if (bias) vector = c->weights.Vector(c->Name(tensor, ".bias", i), rows);
  return c->builder.Linear(name, x, c->weights.Matrix(c->Name(tensor, ".weight", i), rows, x.width),
                           vector);
}

// The layer's convolution of all its columns, and the activation behind it.
Value Convolve(Compilation* c, TensorName tensor, std::uint32_t kernel, bool with_bias,
               v1::Function function, const std::string& name, Value x, std::uint32_t i) {
  const WeightRef taps =
      c->weights.Floats(c->Name(tensor, ".weight", i), x.width, kernel, Made::kTransposed);
  std::optional<WeightRef> bias;
  if (with_bias) bias = c->Vector(tensor, ".bias", i, x.width);
  const Value y = c->builder.Convolution(name + "_conv", x, taps, bias);
  return c->builder.Activate(name + "_act", y, function);
}

Value NormIfNamed(Compilation* c, const MambaMixer& mixer, std::string_view name, Value x,
                  TensorName tensor, std::uint32_t i) {
  if (tensor.hf.empty()) return x;
  return c->builder.RmsNorm(name, x, mixer.epsilon, c->Vector(tensor, ".weight", i, x.width));
}

Value AddMixer(Compilation* c, const Config& config, std::uint32_t i, Value n) {
  MambaMixer mixer{kIn, kTaps, kSelect, kStep, kDecay, kSkip, kOut};
  mixer.inner = config.inner;
  mixer.state = config.state;
  mixer.kernel = config.kernel;
  mixer.step_rank = config.step_rank;
  mixer.epsilon = config.epsilon;
  mixer.tap_bias = config.tap_bias;
  mixer.bias = config.bias;
  mixer.function = config.function;
  return AddMambaMixer(c, mixer, i, n);
}

Value AddMixer2(Compilation* c, const Config& config, std::uint32_t i, Value n) {
  ProgramBuilder& b = c->builder;
  const std::uint32_t inner = config.inner;
  const std::uint32_t shared = config.groups * config.state;
  const std::uint32_t convolved = inner + 2 * shared;
  const std::uint32_t total = inner + convolved + config.heads;
  const Value gate = Part(c, "gate", n, kIn, i, {0, inner, total}, config.bias);
  const Value in = Part(c, "in", n, kIn, i, {inner, convolved, total}, config.bias);
  const WeightRef step_rows = c->weights.Matrix(
      c->Name(kIn, ".weight", i), {inner + convolved, config.heads, total}, config.width);
  const Value raw = b.Linear("step_raw", n, step_rows, c->Vector(kStepBias, "", i, config.heads));
  const Value mixed =
      Convolve(c, kTaps, config.kernel, config.tap_bias, config.function, "mixed", in, i);
  const Value x = b.Slice("x", mixed, 1, 0, inner);
  const Value keys = b.Slice("b", mixed, 1, inner, shared);
  const Value queries = b.Slice("c", mixed, 1, inner + shared, shared);
  Value step = b.Activate("step", raw, v1::FUNCTION_SOFTPLUS);
  if (config.longest_step > 0) step = b.Clamp("step_limit", step, config.longest_step);
  const WeightRef decay =
      c->weights.Floats(c->Name(kDecay, "", i), config.heads, 0, Made::kNegatedExp);
  const WeightRef skip = c->Vector(kSkip, "", i, config.heads);
  const Value y = b.StateSpaceDual("scan", x, step, keys, queries, decay, skip, config.state);
  const Value gated = b.Gate("gated", gate, y, v1::FUNCTION_SILU);
  const Value norm = b.RmsNorm("gated_norm", gated, config.epsilon,
                               c->Vector(kGatedNorm, ".weight", i, inner), config.groups);
  return Part(c, "out", norm, kOut, i, AllRows(config.width), config.bias);
}

using Mixer = Value (*)(Compilation* c, const Config& config, std::uint32_t layer, Value n);

Status Compile(Compilation* c, Config (*read)(Fields*, Compilation*), Mixer mixer) {
  if (!c->is_hf()) return Unimplemented("this family is read from Hugging Face folders only");
  c->FindPrefix({"backbone.", "model.", ""}, "embeddings.weight");
  Fields fields(c->files, FamilyName(c->files), "");
  const Config config = read(&fields, c);
  const std::uint32_t most = std::max(c->options.context_length, c->trained_context);
  ASSIGN_OR_RETURN(const WeightRef table,
                   BeginDecoder(&fields, {kEmbedding, config.width, config.layers, most}, c));
  ProgramBuilder& b = c->builder;
  b.Output(b.Embed("tokens", table, v1::Embed::SOURCE_ID));
  for (std::uint32_t i = 0; i < config.layers && c->weights.status().ok(); ++i) {
    b.BeginBlock("layer." + std::to_string(i));
    const Value x = b.Input();
    const Value n =
        b.RmsNorm("norm", x, config.epsilon, c->Vector(kNorm, ".weight", i, config.width));
    b.Output(b.Add("add", x, mixer(c, config, i, n)));
  }
  b.BeginBlock("head");
  const Value n = b.RmsNorm("norm", b.GatherOutputs("outputs", b.Input()), config.epsilon,
                            c->Vector(kFinalNorm, ".weight", 0, config.width));
  const WeightRef head = c->Head(kHead, !c->HasHead(kHead), table, config.width);
  b.Sample("sample", b.Linear("output", n, head));
  return c->weights.status();
}

}  // namespace

std::uint32_t ReadStepRank(Fields* fields, Key key, std::uint32_t width) {
  const std::uint32_t automatic = (width + 15) / 16;
  const files::MetaValue* value = fields->Find(key);
  if (value == nullptr || value->Text().value_or("") == "auto") return automatic;
  return fields->Count(key, 1, kMostWidth);
}

Value AddMambaMixer(Compilation* c, const MambaMixer& mixer, std::uint32_t i, Value n) {
  ProgramBuilder& b = c->builder;
  const std::uint32_t inner = mixer.inner;
  const std::uint32_t state = mixer.state;
  const std::uint32_t rank = mixer.step_rank;
  const std::uint32_t selected = rank + 2 * state;
  const Value in = Part(c, "in", n, mixer.in, i, {0, inner, 2 * inner}, mixer.bias);
  const Value gate = Part(c, "gate", n, mixer.in, i, {inner, inner, 2 * inner}, mixer.bias);
  const Value x = Convolve(c, mixer.taps, mixer.kernel, mixer.tap_bias, mixer.function, "x", in, i);
  Value low = Part(c, "step_low", x, mixer.select, i, {0, rank, selected}, false);
  Value keys = Part(c, "b", x, mixer.select, i, {rank, state, selected}, false);
  Value queries = Part(c, "c", x, mixer.select, i, {rank + state, state, selected}, false);
  low = NormIfNamed(c, mixer, "step_norm", low, mixer.step_norm, i);
  keys = NormIfNamed(c, mixer, "b_norm", keys, mixer.b_norm, i);
  queries = NormIfNamed(c, mixer, "c_norm", queries, mixer.c_norm, i);
  const Value raw = Part(c, "step_raw", low, mixer.step, i, AllRows(inner), true);
  const Value step = b.Activate("step", raw, v1::FUNCTION_SOFTPLUS);
  const WeightRef decay =
      c->weights.Floats(c->Name(mixer.decay, "", i), inner, state, Made::kNegatedExp);
  const WeightRef skip = c->Vector(mixer.skip, "", i, inner);
  const Value y = b.SelectiveScan("scan", x, step, keys, queries, decay, skip, state);
  const Value gated = b.Gate("gated", gate, y, mixer.function);
  return Part(c, "out", gated, mixer.out, i, AllRows(n.width), mixer.bias);
}

Status CompileMamba(Compilation* c) { return Compile(c, ReadMamba, AddMixer); }

Status CompileMamba2(Compilation* c) { return Compile(c, ReadMamba2, AddMixer2); }

}  // namespace bramble::model::families
