#include "kernels/a8.h"
#include "kernels/arm/kernels.h"
#include "kernels/arm/math_neon.h"

namespace bramble::kernels::arm {
namespace {

inline int16x4_t Rounded(const float* x, float32x4_t inverse) {
  return vmovn_s32(vcvtnq_s32_f32(vmulq_f32(vld1q_f32(x), inverse)));
}

// Sixteen numbers; all are within -127 .. 127.
inline int8x16_t RoundedSixteen(const float* x, float32x4_t inverse) {
  const int16x8_t low = vcombine_s16(Rounded(x, inverse), Rounded(x + 4, inverse));
  const int16x8_t high = vcombine_s16(Rounded(x + 8, inverse), Rounded(x + 12, inverse));
  return vcombine_s8(vmovn_s16(low), vmovn_s16(high));
}

// Writes a group whose largest magnitude is at least 2^-100.
void QuantizeGroup(const float* x, float amax, A8Group* group) {
  const float32x4_t inverse = Set(127.0F / amax);
  const int8x16_t first = RoundedSixteen(x, inverse);
  const int8x16_t second = RoundedSixteen(x + 16, inverse);
  vst1q_s8(group->q, first);
  vst1q_s8(group->q + 16, second);
  group->half_sums[0] = vaddlvq_s8(first);
  group->half_sums[1] = vaddlvq_s8(second);
  group->scale = amax / 127.0F;
  group->sum = group->half_sums[0] + group->half_sums[1];
  group->scaled_sum = group->scale * static_cast<float>(group->sum);
}

}  // namespace

bool QuantizeA8Neon(const float* x, std::size_t n, std::byte* row) {
  auto* group = reinterpret_cast<A8Group*>(row);
  for (std::size_t i = 0; i < n; i += kA8Values, ++group) {
    float32x4_t largest[2] = {Set(0.0F), Set(0.0F)};
    for (std::size_t j = 0; j < kA8Values; j += 8) {
      // vmaxq passes on what is not a number, so one look at the end finds it.
      largest[0] = vmaxq_f32(largest[0], vabsq_f32(vld1q_f32(x + i + j)));
      largest[1] = vmaxq_f32(largest[1], vabsq_f32(vld1q_f32(x + i + j + 4)));
    }
    const float amax = vmaxvq_f32(vmaxq_f32(largest[0], largest[1]));
    if (!(amax <= 0x1.fffffep127F)) return false;
    if (amax < 0x1p-100F) {
      *group = A8Group{};
    } else {
      QuantizeGroup(x + i, amax, group);
    }
  }
  return true;
}

}  // namespace bramble::kernels::arm
