// Sums with a fixed order: 16 lanes, element i in lane i % 16. For ordinary code only.
#pragma once

#include <cstddef>

#include "kernels/math.h"

namespace bramble::kernels::portable {

inline constexpr std::size_t kLanes = 16;

// Upper half onto lower: 16 > 8 > 4 > 2 > 1.
inline float FoldLanes(const float* lanes) {
  float sums[kLanes / 2];
  for (std::size_t l = 0; l < 8; ++l) sums[l] = lanes[l] + lanes[l + 8];
  for (std::size_t l = 0; l < 4; ++l) sums[l] += sums[l + 4];
  for (std::size_t l = 0; l < 2; ++l) sums[l] += sums[l + 2];
  return sums[0] + sums[1];
}

// Sum of a[i] * b[i] by fma.
inline float Dot(const float* a, const float* b, std::size_t n) {
  float lanes[kLanes] = {};
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (std::size_t l = 0; l < kLanes; ++l) lanes[l] = Fma(a[i + l], b[i + l], lanes[l]);
  }
  for (std::size_t l = 0; i + l < n; ++l) lanes[l] = Fma(a[i + l], b[i + l], lanes[l]);
  return FoldLanes(lanes);
}

// Sum of x[i].
inline float Sum(const float* x, std::size_t n) {
  float lanes[kLanes] = {};
  for (std::size_t i = 0; i < n; ++i) lanes[i % kLanes] += x[i];
  return FoldLanes(lanes);
}

}  // namespace bramble::kernels::portable
