#include "kernels/arm/kernels.h"
#include "kernels/arm/math_neon.h"
#include "kernels/norm.h"

namespace bramble::kernels::arm {
namespace {

float SumOfSquares(const float* x, std::size_t n) {
  Lanes lanes;
  ForEachLane(n, [&](std::size_t l, std::size_t i, std::size_t count) {
    const float32x4_t v = LoadFirst(x + i, count);
    // A lane without a number adds 0 * 0, which changes nothing: sums of squares are never -0.
    lanes.at[l] = Fma(v, v, lanes.at[l]);
  });
  return lanes.Fold();
}

void Finish(const float* x, float s, const float* gain, const float* bias, std::size_t n,
            float* y) {
  const float32x4_t factor = Set(s);
  ForEachFour(n, [=](std::size_t i, std::size_t count) {
    float32x4_t value = vmulq_f32(LoadFirst(x + i, count), factor);
    if (gain != nullptr) value = vmulq_f32(value, LoadFirst(gain + i, count));
    if (bias != nullptr) value = vaddq_f32(value, LoadFirst(bias + i, count));
    StoreFirst(y + i, count, value);
  });
}

inline float SquareRoot(float x) { return vgetq_lane_f32(vsqrtq_f32(Set(x)), 0); }

}  // namespace

void RmsNormNeon(const float* x, const float* gain, const float* bias, float epsilon, std::size_t n,
                 float* y) {
  const float mean = SumOfSquares(x, n) / static_cast<float>(n);
  Finish(x, 1.0F / SquareRoot(mean + epsilon), gain, bias, n, y);
}

void LayerNormNeon(const float* x, const float* gain, const float* bias, float epsilon,
                   std::size_t n, float* y) {
  Lanes lanes;
  ForEachLane(n, [&](std::size_t l, std::size_t i, std::size_t count) {
    lanes.at[l] = vaddq_f32(lanes.at[l], LoadFirst(x + i, count));
  });
  const float32x4_t mean = Set(lanes.Fold() / static_cast<float>(n));
  ForEachFour(n, [=](std::size_t i, std::size_t count) {
    StoreFirst(y + i, count, vsubq_f32(LoadFirst(x + i, count), mean));
  });
  const float variance = SumOfSquares(y, n) / static_cast<float>(n);
  Finish(y, 1.0F / SquareRoot(variance + epsilon), gain, bias, n, y);
}

void L2NormNeon(const float* x, const float* gain, const float* bias, float epsilon, std::size_t n,
                float* y) {
  const float length = SquareRoot(SumOfSquares(x, n));
  Finish(x, 1.0F / (length > epsilon ? length : epsilon), gain, bias, n, y);
}

}  // namespace bramble::kernels::arm
