#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/families/fields.h"

namespace bramble::model::families {

// A model's rotary positions: data of the program, so that every scaling is the same operation.
struct Rotation {
  std::vector<float> frequencies;  // radians a position; half as many as dimensions are turned
  float magnitude = 1;             // multiplies cosine and sine
  std::uint32_t most_positions =
      0;  // beyond it the frequencies would depend on the length; 0: no limit
};

// How the frequencies of a model differ from base^(-2i/dims). The definitions are those of
// transformers (src/transformers/modeling_rope_utils.py); llama.cpp's agree.
struct RopeScaling {
  enum class Kind : std::uint8_t { kNone, kLinear, kLlama3, kYarn, kDynamic };
  Kind kind = Kind::kNone;
  double factor = 1;
  double original_positions = 0;  // that the model was trained with, before it was stretched
  double low_frequency_factor = 1;
  double high_frequency_factor = 4;
  double beta_fast = 32;
  double beta_slow = 1;
  bool truncate = true;
  double magnitude = 1;
};

// frequencies[i] for i < dims / 2. Computed in double, rounded once. Requires base > 1, an even
// dims > 0, and numbers in range as ReadRotation checks them.
std::vector<float> RopeFrequencies(double base, std::uint32_t dims, const RopeScaling& scaling);

// Reads the base and the scaling: GGUF's `rope.*`; of config.json `rope_theta` and `rope_scaling`,
// or what transformers 5 writes, `rope_parameters`, where there may be one object a layer type
// (`layer_type`: "full_attention"). Errors go to `fields`, an unknown scaling by its name.
Rotation ReadRotation(Fields* fields, std::string_view layer_type, std::uint32_t dims,
                      double default_base, std::uint32_t context_length);

}  // namespace bramble::model::families
