// Half-precision numbers of weights and caches. Internal linkage, so that a file with further
// instruction-set flags may include it.
#pragma once

#include <arm_neon.h>

#include <cstddef>
#include <cstdint>

namespace bramble::kernels::arm {
namespace {

// Four halves, widened; aligned to 2 bytes. Through integers: GCC 12 has no type of C++ for a half
// on ARM.
inline float32x4_t LoadHalves(const std::byte* p) {
  return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(reinterpret_cast<const std::uint16_t*>(p))));
}

}  // namespace
}  // namespace bramble::kernels::arm
