// What all products with panels have in common: the walk over panels, tiles of input rows and
// segments, and the tree. Everything has internal linkage: files with further instruction-set flags
// include this.
#pragma once

#include <arm_neon.h>

#include <cstddef>
#include <cstdint>

#include "kernels/a8.h"
#include "kernels/arm/halves.h"
#include "kernels/matmul.h"

namespace bramble::kernels::arm {
namespace {

// A tile is 16 outputs (four registers of 4) of kRows input rows.
template <std::size_t kRows>
struct Sums {
  float32x4_t at[kRows][4];
};

// Registers of outputs that a unit computes at once: all for one row; half of them for several, so
// that integer sums, float sums and weights of all rows fit into 32 registers.
template <std::size_t kRows>
inline constexpr std::size_t kRegisters = kRows == 1 ? 4 : 2;

// ((s0+s1)+(s2+s3)) + ((s4+s5)+(s6+s7)); a node with one child is that child. The sum is left in
// segments[0].
template <std::size_t kRows>
void Join(Sums<kRows>* segments, std::size_t count) {
  for (std::size_t n = count; n > 1; n = (n + 1) / 2) {
    for (std::size_t s = 0; s < n / 2; ++s) {
      for (std::size_t r = 0; r < kRows; ++r) {
        for (std::size_t i = 0; i < 4; ++i) {
          segments[s].at[r][i] = vaddq_f32(segments[2 * s].at[r][i], segments[2 * s + 1].at[r][i]);
        }
      }
    }
    if (n % 2 != 0) segments[n / 2] = segments[n - 1];
  }
}

// Adds the bias and writes 16 outputs, or as many as there are.
inline void Store16(const MatmulArgs& args, std::size_t row, std::size_t first_output,
                    const float32x4_t (&sums)[4]) {
  const std::size_t count = args.last_output - first_output;
  float* output = args.output + row * args.output_stride + first_output;
  if (count >= kPanelRows) {
    for (std::size_t i = 0; i < 4; ++i) {
      float32x4_t value = sums[i];
      if (args.bias != nullptr)
        value = vaddq_f32(value, vld1q_f32(args.bias + first_output + 4 * i));
      vst1q_f32(output + 4 * i, value);
    }
    return;
  }
  float values[kPanelRows];
  for (std::size_t i = 0; i < 4; ++i) vst1q_f32(values + 4 * i, sums[i]);
  for (std::size_t o = 0; o < count; ++o) {
    output[o] = args.bias != nullptr ? values[o] + args.bias[first_output + o] : values[o];
  }
}

// Unit: kValues inputs in kBytes bytes of the panel, and
//   template <std::size_t kRows> static void Add(const std::byte* unit, const std::byte* const*
//   inputs, Sums<kRows>* sums)
// which adds a unit's products; inputs[r] points at row r's numbers for this unit, kInputBytes
// apart from unit to unit.
template <typename Unit, std::size_t kRows>
void RunTile(const MatmulArgs& args, const std::byte* panel, std::size_t first_row,
             std::size_t first_output) {
  const MatmulShape& shape = *args.shape;
  const std::byte* inputs[kRows];
  for (std::size_t r = 0; r < kRows; ++r) {
    inputs[r] = args.input + (first_row + r) * args.input_stride;
  }
  Sums<kRows> segments[kMaxSegments];
  std::size_t at = 0;
  for (std::size_t s = 0; s < shape.segments; ++s) {
    Sums<kRows> sums;
    for (std::size_t r = 0; r < kRows; ++r) {
      for (float32x4_t& sum : sums.at[r]) sum = vdupq_n_f32(0.0F);
    }
    for (; at < shape.segment_ends[s]; at += Unit::kValues) {
      Unit::template Add<kRows>(panel, inputs, &sums);
      panel += Unit::kBytes;
      for (std::size_t r = 0; r < kRows; ++r) inputs[r] += Unit::kInputBytes;
    }
    segments[s] = sums;
  }
  Join<kRows>(segments, shape.segments);
  for (std::size_t r = 0; r < kRows; ++r) {
    Store16(args, first_row + r, first_output, segments[0].at[r]);
  }
}

// Tiles of kTileRows rows (a power of two) as long as there are so many, then of half as many, and
// so on.
template <typename Unit, std::size_t kTileRows>
void RunRows(const MatmulArgs& args, const std::byte* panel, std::size_t first_row,
             std::size_t first_output) {
  for (; first_row + kTileRows <= args.rows; first_row += kTileRows) {
    RunTile<Unit, kTileRows>(args, panel, first_row, first_output);
  }
  if constexpr (kTileRows > 1) RunRows<Unit, kTileRows / 2>(args, panel, first_row, first_output);
}

template <typename Unit, std::size_t kTileRows>
void RunPanels(const MatmulArgs& args) {
  const std::size_t panel_bytes = args.shape->inputs / Unit::kValues * Unit::kBytes;
  for (std::size_t o = args.first_output; o < args.last_output; o += kPanelRows) {
    RunRows<Unit, kTileRows>(args, args.packed + o / kPanelRows * panel_bytes, 0, o);
  }
}

}  // namespace
}  // namespace bramble::kernels::arm
