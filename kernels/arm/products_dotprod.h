// Sums of products of bytes by SDOT (see matmul_units.h). Internal linkage: only files compiled for
// it include this.
#pragma once

#include "kernels/arm/matmul_units.h"

namespace bramble::kernels::arm {
namespace {

template <std::size_t kRows, std::size_t kCount>
struct DotProducts {
  int32x4_t at[kRows][kCount];

  [[gnu::always_inline]] void Start(const std::int32_t (&minus)[kRows]) {
    for (std::size_t r = 0; r < kRows; ++r) {
      for (std::size_t i = 0; i < kCount; ++i) at[r][i] = vdupq_n_s32(-minus[r]);
    }
  }

  template <std::size_t kEight>
  [[gnu::always_inline]] void Add(const int8x16_t (&first)[kCount],
                                  const int8x16_t (&second)[kCount],
                                  const std::byte* const* inputs) {
    constexpr int kLane = 2 * (kEight % 2);
    for (std::size_t r = 0; r < kRows; ++r) {
      const int8x16_t x = vld1q_s8(GroupAt(inputs[r]).q + 16 * (kEight / 2));
      for (std::size_t i = 0; i < kCount; ++i) {
        at[r][i] = vdotq_laneq_s32(at[r][i], first[i], x, kLane);
        at[r][i] = vdotq_laneq_s32(at[r][i], second[i], x, kLane + 1);
      }
    }
  }

  [[gnu::always_inline]] void Finish(int32x4_t (&sums)[kRows][kCount]) const {
    for (std::size_t r = 0; r < kRows; ++r) {
      for (std::size_t i = 0; i < kCount; ++i) sums[r][i] = at[r][i];
    }
  }
};

}  // namespace
}  // namespace bramble::kernels::arm
