#include "model/families/experts.h"

#include <string>

#include "proto/program/limits.h"

namespace bramble::model::families {
namespace {

// "layers.#.mlp.experts.%.up_proj" of one expert, still with its layer open.
std::string OfExpert(std::string_view name, std::uint32_t expert) {
  std::string full;
  for (const char c : name) {
    if (c == '%') {
      full += std::to_string(expert);
    } else {
      full += c;
    }
  }
  return full;
}

// What a GGUF file has of one of the three: a stack, half a stack, or (files of 2023) a tensor an
// expert.
struct GgufNames {
  std::string_view stack;
  std::string_view one;
};
constexpr GgufNames kGgufGate = {"blk.#.ffn_gate_exps", "blk.#.ffn_gate.%"};
constexpr GgufNames kGgufUp = {"blk.#.ffn_up_exps", "blk.#.ffn_up.%"};
constexpr GgufNames kGgufDown = {"blk.#.ffn_down_exps", "blk.#.ffn_down.%"};
constexpr TensorName kGgufGateUp = {"blk.#.ffn_gate_up_exps", ""};

class ExpertReader {
 public:
  ExpertReader(Compilation* c, std::uint32_t experts, std::uint32_t layer)
      : c_(*c), experts_(experts), layer_(layer) {}

  std::vector<WeightRef> Read(std::string_view hf, const GgufNames& gguf, std::uint32_t outputs,
                              std::uint32_t inputs) {
    const TensorName stack = {gguf.stack, ""};
    if (!c_.is_hf() && c_.Has(stack, ".weight", layer_)) {
      return {c_.weights.Stack(c_.Name(stack, ".weight", layer_), experts_, outputs, inputs)};
    }
    std::vector<WeightRef> matrices;
    for (std::uint32_t e = 0; e < experts_ && c_.weights.status().ok(); ++e) {
      const std::string own = OfExpert(c_.is_hf() ? hf : gguf.one, e);
      matrices.push_back(c_.Matrix({own, own}, layer_, outputs, inputs));
    }
    // After an error any reference will do.
    if (matrices.empty()) matrices.push_back(0);
    return matrices;
  }

  // Rows [first, first + count) of each matrix of a stack.
  std::vector<WeightRef> Part(TensorName name, const RowRange& rows, std::uint32_t inputs) {
    std::vector<WeightRef> matrices;
    matrices.reserve(experts_);
    for (std::uint32_t e = 0; e < experts_; ++e) {
      matrices.push_back(
          c_.weights.MatrixOfStack(c_.Name(name, ".weight", layer_), experts_, e, rows, inputs));
    }
    return matrices;
  }

 private:
  Compilation& c_;
  std::uint32_t experts_;
  std::uint32_t layer_;
};

}  // namespace

ExpertsConfig ReadExperts(Fields* fields, Key experts, Key per_row, Key inner) {
  ExpertsConfig config;
  config.spec.experts = fields->Count(experts, 1, program::kMaxExperts);
  config.spec.per_row = fields->Count(per_row, 1, program::kMaxExpertsPerRow);
  config.inner = fields->Count(inner, 1, kMostWidth);
  if (config.spec.per_row > config.spec.experts) {
    fields->Refuse(Invalid(fields->Place(per_row), " is ", config.spec.per_row, ", and there are ",
                           config.spec.experts, " experts"));
  }
  return config;
}

ExpertsWeights FindExperts(Compilation* c, const ExpertNames& names, const ExpertsConfig& config,
                           std::uint32_t layer, std::uint32_t width) {
  ExpertReader reader(c, config.spec.experts, layer);
  ExpertsWeights weights;
  if (!c->is_hf() && c->Has(kGgufGateUp, ".weight", layer)) {
    const std::uint32_t inner = config.inner;
    weights.gate = reader.Part(kGgufGateUp, {0, inner, 2 * inner}, width);
    weights.up = reader.Part(kGgufGateUp, {inner, inner, 2 * inner}, width);
  } else {
    weights.gate = reader.Read(names.gate, kGgufGate, config.inner, width);
    weights.up = reader.Read(names.up, kGgufUp, config.inner, width);
  }
  weights.down = reader.Read(names.down, kGgufDown, width, config.inner);
  return weights;
}

Value AddRouter(Compilation* c, std::string_view hf_name, const ExpertsConfig& config,
                std::uint32_t layer, Value x, bool bias) {
  const TensorName name = {"blk.#.ffn_gate_inp", hf_name};
  const std::uint32_t experts = config.spec.experts;
  return c->builder.Linear("router", x, c->Matrix(name, layer, experts, x.width),
                           c->Bias(name, layer, experts, bias));
}

Value AddFeedForward(Compilation* c, std::string_view prefix, const FeedForwardNames& names,
                     std::uint32_t layer, Value x, std::uint32_t inner, v1::Function function) {
  ProgramBuilder& b = c->builder;
  const std::string name(prefix);
  const Value gate = b.Linear(name + "_gate", x, c->Matrix(names.gate, layer, inner, x.width));
  const Value up = b.Linear(name + "_up", x, c->Matrix(names.up, layer, inner, x.width));
  const Value f = b.Gate(name + "_act", gate, up, function);
  return b.Linear(name + "_down", f, c->Matrix(names.down, layer, x.width, inner));
}

}  // namespace bramble::model::families
