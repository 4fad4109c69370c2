// Activations as 8-bit integers with one f32 scale for each 32 values: "a8/32"
// (docs/arithmetic.md).
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/table.h"

namespace bramble::kernels {

inline constexpr std::size_t kA8Values = 32;

// x[i] is about scale * q[i]. The sums are what the products with offsets and minima need.
struct A8Group {
  std::int8_t q[kA8Values];   // -127 .. 127
  float scale;                // 0 if all q are
  float scaled_sum;           // scale * float(sum), one multiplication
  std::int32_t sum;           // of all q
  std::int16_t half_sums[2];  // of q[0..15] and q[16..31]
};
static_assert(sizeof(A8Group) == 48);

// A row of `inputs` values (a multiple of 32) is inputs / 32 groups; it must lie at a multiple of
// 16 bytes.
inline constexpr std::size_t A8RowBytes(std::size_t inputs) {
  return inputs / kA8Values * sizeof(A8Group);
}

// Quantizes x[0..n) to the row at `row` (A8RowBytes(n) bytes). n: a multiple of 32.
// False if a value is infinite or not a number; the row's content is then unspecified. Pure: any
// thread.
using QuantizeA8Fn = bool (*)(const float* x, std::size_t n, std::byte* row);

Rows<QuantizeA8Fn> QuantizeA8Rows();

}  // namespace bramble::kernels
