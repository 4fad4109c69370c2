#include "kernels/convert.h"

#include <bit>

#include "kernels/encodings/bits.h"
#include "kernels/portable/kernels.h"
#if defined(__x86_64__)
#include "kernels/x86/kernels.h"
#elif defined(__aarch64__)
#include "kernels/arm/kernels.h"
#endif

namespace bramble::kernels {
namespace {

constexpr Row<FloatsToHalvesFn> kRows[] = {
#if defined(__x86_64__)
    {"floats_to_halves/avx2", kAvx2, x86::FloatsToHalvesAvx2},
#elif defined(__aarch64__)
    {"floats_to_halves/neon", kNeon, arm::FloatsToHalvesNeon},
#endif
    {"floats_to_halves/portable", kNothing, portable::FloatsToHalves},
};

}  // namespace

Rows<FloatsToHalvesFn> FloatsToHalvesRows() { return kRows; }

float HalfToFloat(std::uint16_t half) { return WidenHalf(half); }
float Bf16ToFloat(std::uint16_t bf16) { return WidenBf16(bf16); }

std::uint16_t FloatToHalf(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = bits >> 16U & 0x8000U;
  const std::uint32_t magnitude = bits & 0x7fffffffU;
  std::uint32_t half = 0;
  if (magnitude > 0x7f800000U) {
    half = 0x7e00U;  // not a number
  } else if (magnitude >= 0x477ff000U) {
    half = 0x7c00U;  // 65520 and above
  } else if (magnitude < 0x38800000U) {
    // Below 2^-14: adding 1/2 leaves the half's subnormal, correctly rounded, in the last bits.
    half = std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude) + 0.5F) - 0x3f000000U;
  } else {
    const std::uint32_t even = magnitude >> 13U & 1U;
    half = (magnitude - 0x38000000U + 0xfffU + even) >> 13U;
  }
  return static_cast<std::uint16_t>(sign | half);
}

bool AllFinite(const float* x, std::size_t n) {
  constexpr std::uint32_t kExponent = 0x7f800000U;
  std::uint32_t bad = 0;
  for (std::size_t i = 0; i < n; ++i) {
    bad |= (std::bit_cast<std::uint32_t>(x[i]) & kExponent) == kExponent ? 1U : 0U;
  }
  return bad == 0;
}

}  // namespace bramble::kernels
