#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/families/fields.h"

namespace bramble::model::families {

inline constexpr double kMostRopeBase = 1e15;

// A model's rotary positions: data of the program, so that every scaling is the same operation.
struct Rotation {
  std::vector<float> frequencies;  // radians a position; half as many as dimensions are turned
  float magnitude = 1;             // multiplies cosine and sine
  // Sequences longer than `long_from` turn by these: as many, or as many for each length beyond it.
  std::vector<float> long_frequencies;
  std::uint32_t long_from = 0;
  // How many positions it reaches, if that is not what the description calls the context; else 0.
  std::uint32_t most_positions = 0;
};

// How the frequencies of a model differ from base^(-2i/dims). The definitions are those of
// transformers (src/transformers/modeling_rope_utils.py); llama.cpp's agree.
struct RopeScaling {
  enum class Kind : std::uint8_t { kNone, kLinear, kLlama3, kYarn, kDynamic, kLong };
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
// LongRoPE's
// factors are tensors in GGUF files: a family that may have them calls SetFactors.
Rotation ReadRotation(Fields* fields, std::string_view layer_type, std::uint32_t dims,
                      double default_base, std::uint32_t context_length);

// The same without any scaling: what layers with a window have where the others are stretched.
Rotation ReadPlainRotation(Fields* fields, std::string_view layer_type, std::uint32_t dims,
                           double default_base);

// Divides the frequencies by LongRoPE's factors, one for each: `factors` up to `from` positions,
// `long_factors` in longer sequences. All must be above 0. Errors go to `fields`.
void SetFactors(Fields* fields, const std::vector<double>& factors,
                const std::vector<double>& long_factors, std::uint32_t from, Rotation* rotation);

// How many numbers of a head are turned: an even number up to `head_dim`. config.json gives a part
// of 1, named `hf_part` (`default_part` if it is missing); GGUF the number. Errors go to `fields`.
std::uint32_t ReadRotatedDims(Fields* fields, std::string_view hf_part, std::uint32_t head_dim,
                              double default_part);

}  // namespace bramble::model::families
