#include "kernels/arm/kernels.h"
#include "kernels/arm/math_neon.h"
#include "kernels/convert.h"
#include "kernels/rope.h"

namespace bramble::kernels::arm {
namespace {

// Pairs (a, b) of four angles.
inline float32x4x2_t Turn(float32x4_t a, float32x4_t b, float32x4_t cosine, float32x4_t sine) {
  return {Fma(a, cosine, vnegq_f32(vmulq_f32(b, sine))), Fma(a, sine, vmulq_f32(b, cosine))};
}

inline void CopyRest(const float* x, std::size_t from, std::size_t to, float* y) {
  for (std::size_t i = from; i < to; ++i) y[i] = x[i];
}

}  // namespace

void RopeHalfNeon(const float* x, const float* cosines, const float* sines, std::size_t pairs,
                  std::size_t heads, std::size_t head_dim, float* y) {
  for (std::size_t h = 0; h < heads; ++h, x += head_dim, y += head_dim) {
    ForEachFour(pairs, [=](std::size_t i, std::size_t count) {
      const float32x4x2_t turned = Turn(LoadFirst(x + i, count), LoadFirst(x + pairs + i, count),
                                        LoadFirst(cosines + i, count), LoadFirst(sines + i, count));
      StoreFirst(y + i, count, turned.val[0]);
      StoreFirst(y + pairs + i, count, turned.val[1]);
    });
    CopyRest(x, 2 * pairs, head_dim, y);
  }
}

void RopePairNeon(const float* x, const float* cosines, const float* sines, std::size_t pairs,
                  std::size_t heads, std::size_t head_dim, float* y) {
  for (std::size_t h = 0; h < heads; ++h, x += head_dim, y += head_dim) {
    std::size_t i = 0;
    for (; i + 4 <= pairs; i += 4) {
      const float32x4x2_t both = vld2q_f32(x + 2 * i);
      vst2q_f32(y + 2 * i,
                Turn(both.val[0], both.val[1], vld1q_f32(cosines + i), vld1q_f32(sines + i)));
    }
    for (; i < pairs; ++i) {
      const float a = x[2 * i];
      const float b = x[2 * i + 1];
      y[2 * i] = Fma(a, cosines[i], -(b * sines[i]));
      y[2 * i + 1] = Fma(a, sines[i], b * cosines[i]);
    }
    CopyRest(x, 2 * pairs, head_dim, y);
  }
}

void FloatsToHalvesNeon(const float* x, std::size_t n, std::uint16_t* y) {
  std::size_t i = 0;
  for (; i + 4 <= n; i += 4) {
    vst1_u16(y + i, vreinterpret_u16_f16(vcvt_f16_f32(vld1q_f32(x + i))));
  }
  if (i == n) return;
  std::uint16_t rest[4];
  vst1_u16(rest, vreinterpret_u16_f16(vcvt_f16_f32(LoadFirst(x + i, n - i))));
  for (std::size_t j = 0; i + j < n; ++j) y[i + j] = rest[j];
}

}  // namespace bramble::kernels::arm
