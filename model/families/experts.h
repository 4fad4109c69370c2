#pragma once

#include <cstdint>
#include <string_view>

#include "model/families/compilation.h"

namespace bramble::model::families {

// Where a family's Hugging Face files keep a layer's experts. '#' stands for the layer, '%' for the
// expert. GGUF files all have the same names.
struct ExpertNames {
  std::string_view router;
  std::string_view gate;
  std::string_view up;
  std::string_view down;
};

// How many experts, how many of them a row goes through, and how wide they are inside, as all
// descriptions say it; the rest is the family's. Errors go to `fields`.
struct ExpertsConfig {
  ExpertsSpec spec;
  std::uint32_t inner = 0;
};
ExpertsConfig ReadExperts(Fields* fields, Key experts, Key per_row, Key inner);

// One matrix for each expert, of separate tensors or of a stack ("ffn_gate_exps", or what
// `ffn_gate_up_exps` has of it).
ExpertsWeights FindExperts(Compilation* c, const ExpertNames& names, const ExpertsConfig& config,
                           std::uint32_t layer, std::uint32_t width);

// The router's logits.
Value AddRouter(Compilation* c, std::string_view hf_name, const ExpertsConfig& config,
                std::uint32_t layer, Value x, bool bias = false);

// A gated feed-forward network beside the experts, or in their place.
struct FeedForwardNames {
  TensorName gate;
  TensorName up;
  TensorName down;
};
// `prefix`: of the operations' names, "ffn" or "shared".
Value AddFeedForward(Compilation* c, std::string_view prefix, const FeedForwardNames& names,
                     std::uint32_t layer, Value x, std::uint32_t inner, v1::Function function);

}  // namespace bramble::model::families
