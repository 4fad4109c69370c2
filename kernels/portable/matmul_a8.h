// Integer products of any block encoding with a8/32 inputs. For ordinary code only.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/a8.h"
#include "kernels/encodings/group.h"
#include "kernels/math.h"
#include "kernels/matmul.h"
#include "kernels/portable/segments.h"

namespace bramble::kernels::portable {

inline std::int32_t DotOfHalf(const std::int8_t* w, const std::int8_t* q) {
  std::int32_t sum = 0;
  for (std::size_t i = 0; i < kHalfGroup; ++i) sum += w[i] * q[i];
  return sum;
}

// sum + the product of one group of weights with one group of inputs.
template <typename Format>
float AddGroup(const Group& group, const A8Group& input, float sum) {
  const std::int32_t first = DotOfHalf(group.w, input.q);
  const std::int32_t second = DotOfHalf(group.w + kHalfGroup, input.q + kHalfGroup);
  if constexpr (Format::kTerms == Terms::kTwoScales) {
    sum = Fma(group.scale[0] * input.scale, static_cast<float>(first), sum);
    return Fma(group.scale[1] * input.scale, static_cast<float>(second), sum);
  }
  if constexpr (Format::kTerms == Terms::kZero) {
    const std::int32_t whole = first + second - group.zero * input.sum;
    return Fma(group.scale[0] * input.scale, static_cast<float>(whole), sum);
  }
  if constexpr (Format::kTerms == Terms::kPlanes) {
    const std::int32_t low =
        DotOfHalf(group.low, input.q) + DotOfHalf(group.low + kHalfGroup, input.q + kHalfGroup);
    return Fma(group.scale[0] * input.scale, static_cast<float>(128 * (first + second) + low), sum);
  }
  const std::int32_t scaled = group.multiplier[0] * first + group.multiplier[1] * second;
  sum = Fma(group.scale[0] * input.scale, static_cast<float>(scaled), sum);
  if constexpr (Format::kTerms == Terms::kScaleMinimum) {
    sum = Fma(group.minimum[0], input.scaled_sum, sum);
  }
  if constexpr (Format::kTerms == Terms::kTwoMinima) {
    for (std::size_t half = 0; half < 2; ++half) {
      const float t = input.scale * static_cast<float>(input.half_sums[half]);
      sum = Fma(group.minimum[half], t, sum);
    }
  }
  return sum;
}

// Input rows that share the unpacking of a group of weights.
inline constexpr std::size_t kTileRows = 16;

// One output of up to kTileRows input rows.
template <typename Format>
void RunOutput(const MatmulArgs& args, const std::byte* weights, const std::byte* input,
               std::size_t rows, std::size_t output) {
  const MatmulShape& shape = *args.shape;
  float sums[kMaxSegments][kTileRows] = {};
  std::size_t at = 0;
  for (std::size_t s = 0; s < shape.segments; ++s) {
    for (; at < shape.segment_ends[s]; at += kGroupValues) {
      Group group;
      Format::Unpack(weights + at / Format::kBlockValues * Format::kBlockBytes,
                     at % Format::kBlockValues / kGroupValues, &group);
      for (std::size_t r = 0; r < rows; ++r) {
        const auto* groups = reinterpret_cast<const A8Group*>(input + r * args.input_stride);
        sums[s][r] = AddGroup<Format>(group, groups[at / kGroupValues], sums[s][r]);
      }
    }
  }
  for (std::size_t r = 0; r < rows; ++r) {
    float value = JoinSegments(&sums[0][r], kTileRows, shape.segments);
    if (args.bias != nullptr) value += args.bias[output];
    args.output[r * args.output_stride + output] = value;
  }
}

template <typename Format>
void RunA8(const MatmulArgs& args) {
  const std::size_t row_bytes = args.shape->inputs / Format::kBlockValues * Format::kBlockBytes;
  MatmulArgs tile = args;
  for (std::size_t r = 0; r < args.rows; r += kTileRows) {
    const std::size_t rows = args.rows - r < kTileRows ? args.rows - r : kTileRows;
    tile.output = args.output + r * args.output_stride;
    for (std::size_t o = args.first_output; o < args.last_output; ++o) {
      RunOutput<Format>(tile, args.packed + o * row_bytes, args.input + r * args.input_stride, rows,
                        o);
    }
  }
}

}  // namespace bramble::kernels::portable
