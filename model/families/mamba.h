#pragma once

#include "model/families/compilation.h"

namespace bramble::model::families {

// A layer's mixer of Mamba's first form, for families that have one beside other layers.
struct MambaMixer {
  // Tensors.
  TensorName in, taps, select, step, decay, skip, out;
  // RMS norms of the step, b and c; without names there are none.
  TensorName step_norm = {}, b_norm = {}, c_norm = {};
  std::uint32_t inner = 0;
  std::uint32_t state = 0;
  std::uint32_t kernel = 0;
  std::uint32_t step_rank = 0;
  float epsilon = 0;
  bool tap_bias = true;
  bool bias = false;
  v1::Function function = v1::FUNCTION_SILU;
};

// What the mixer makes of the normalized x: as wide as x.
Value AddMambaMixer(Compilation* c, const MambaMixer& mixer, std::uint32_t layer, Value x);

// "mamba_dt_rank" and its kin: a number, or "auto" for a sixteenth of the width.
std::uint32_t ReadStepRank(Fields* fields, Key key, std::uint32_t width);

}  // namespace bramble::model::families
