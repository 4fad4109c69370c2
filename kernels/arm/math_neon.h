// kernels/math.h for four numbers at once: the same operations in each lane. Internal linkage, so
// that a file with further instruction-set flags may include it.
#pragma once

#include <arm_neon.h>

#include <cstddef>
#include <cstdint>

namespace bramble::kernels::arm {
namespace {

inline float32x4_t Set(float x) { return vdupq_n_f32(x); }

// a * b + c, rounded once.
inline float32x4_t Fma(float32x4_t a, float32x4_t b, float32x4_t c) { return vfmaq_f32(c, a, b); }
inline float Fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }

// a < b ? a : b and a > b ? a : b, also for zeros and for what is not a number: that stays, if it
// is the second. Not vminq and vmaxq, which order zeros.
inline float32x4_t Smaller(float32x4_t a, float32x4_t b) {
  return vbslq_f32(vcltq_f32(a, b), a, b);
}
inline float32x4_t Larger(float32x4_t a, float32x4_t b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }

// where mask ? 0 : x
inline float32x4_t ZeroWhere(uint32x4_t mask, float32x4_t x) {
  return vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(x), mask));
}

inline float32x4_t PowerOfTwo(int32x4_t n) {
  return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(n, vdupq_n_s32(127)), 23));
}

inline float32x4_t Exp(float32x4_t x) {
  const float32x4_t underflow = Set(-87.33654F);
  const float32x4_t overflow = Set(88.72284F);
  const float32x4_t clamped = Smaller(overflow, Larger(underflow, x));
  const float32x4_t k = vrndnq_f32(vmulq_f32(clamped, Set(0x1.715476p+0F)));
  float32x4_t r = Fma(k, Set(-0x1.62e400p-1F), clamped);
  r = Fma(k, Set(-0x1.7f7d1cp-20F), r);
  float32x4_t q = Fma(Set(0x1.6d445ap-10F), r, Set(0x1.120c72p-7F));
  q = Fma(q, r, Set(0x1.5554e8p-5F));
  q = Fma(q, r, Set(0x1.5554dcp-3F));
  q = Fma(q, r, Set(0x1p-1F));
  const float32x4_t p = vaddq_f32(Set(1.0F), Fma(vmulq_f32(r, r), q, r));
  const int32x4_t n = vcvtnq_s32_f32(k);
  // Half of n, truncated toward zero: the sign bit is added to a negative n before the shift.
  const int32x4_t half = vshrq_n_s32(vsubq_s32(n, vshrq_n_s32(n, 31)), 1);
  const float32x4_t scaled =
      vmulq_f32(vmulq_f32(p, PowerOfTwo(half)), PowerOfTwo(vsubq_s32(n, half)));
  const float32x4_t result = ZeroWhere(vcltq_f32(x, underflow), scaled);
  return vbslq_f32(vcgeq_f32(x, overflow), Set(__builtin_inff()), result);
}

inline float Exp(float x) { return vgetq_lane_f32(Exp(Set(x)), 0); }

inline float32x4_t Tanh(float32x4_t x) {
  const float32x4_t magnitude = vabsq_f32(x);
  const float32x4_t z = vmulq_f32(magnitude, magnitude);
  float32x4_t p = Fma(Set(-0x1.75e1fcp-8F), z, Set(0x1.5226a8p-6F));
  p = Fma(p, z, Set(-0x1.b83c5cp-5F));
  p = Fma(p, z, Set(0x1.110726p-3F));
  p = Fma(p, z, Set(-0x1.555532p-2F));
  const float32x4_t near = Fma(vmulq_f32(magnitude, z), p, magnitude);
  const float32x4_t twice = Smaller(Set(20.0F), vaddq_f32(magnitude, magnitude));
  const float32x4_t quotient = vdivq_f32(Set(2.0F), vaddq_f32(Exp(twice), Set(1.0F)));
  const float32x4_t far = vsubq_f32(Set(1.0F), quotient);
  const float32x4_t size = vbslq_f32(vcltq_f32(magnitude, Set(0.625F)), near, far);
  return vbslq_f32(vdupq_n_u32(0x80000000U), x, size);
}

inline float32x4_t OnePlusExpOfMinus(float32x4_t x) {
  return vaddq_f32(Set(1.0F), Exp(vnegq_f32(x)));
}

inline float32x4_t Sigmoid(float32x4_t x) { return vdivq_f32(Set(1.0F), OnePlusExpOfMinus(x)); }

inline float32x4_t Silu(float32x4_t x) {
  return ZeroWhere(vcleq_f32(x, Set(-88.72284F)), vdivq_f32(x, OnePlusExpOfMinus(x)));
}

// The tail of NormalCdf: t = |x| limited to 14, square = t * t.
inline float32x4_t NormalTail(float32x4_t t, float32x4_t square) {
  const float32x4_t sum = vaddq_f32(t, Set(3.0F));
  const float32x4_t u = vdivq_f32(vsubq_f32(t, Set(3.0F)), sum);
  float32x4_t p = Fma(Set(0x1.c7370cp-15F), u, Set(0x1.125beep-13F));
  p = Fma(p, u, Set(-0x1.00cca2p-12F));
  p = Fma(p, u, Set(-0x1.0e9992p-10F));
  p = Fma(p, u, Set(0x1.0caf74p-10F));
  p = Fma(p, u, Set(0x1.c8bcb6p-8F));
  p = Fma(p, u, Set(-0x1.56d654p-7F));
  p = Fma(p, u, Set(-0x1.832d0ap-5F));
  p = Fma(p, u, Set(0x1.d71386p-3F));
  p = Fma(p, u, Set(-0x1.04c72ap-1F));
  p = Fma(p, u, Set(0x1.754a76p-1F));
  const float32x4_t rest = Fma(t, t, vnegq_f32(square));
  float32x4_t e = Exp(vmulq_f32(Set(-0.5F), square));
  e = Fma(e, vmulq_f32(Set(-0.5F), rest), e);
  return vmulq_f32(e, vdivq_f32(p, sum));
}

inline float32x4_t NormalCdf(float32x4_t x) {
  const float32x4_t magnitude = vabsq_f32(x);
  const float32x4_t t = Smaller(Set(14.0F), magnitude);
  const float32x4_t square = vmulq_f32(t, t);
  const float32x4_t tail = NormalTail(t, square);
  const float32x4_t far = vbslq_f32(vcltq_f32(x, Set(0.0F)), tail, vsubq_f32(Set(1.0F), tail));
  float32x4_t q = Fma(Set(-0x1.00c76ep-17F), square, Set(0x1.dbfb2cp-14F));
  q = Fma(q, square, Set(-0x1.36fd10p-10F));
  q = Fma(q, square, Set(0x1.46ce4cp-7F));
  q = Fma(q, square, Set(-0x1.105832p-4F));
  q = Fma(q, square, Set(0x1.988454p-2F));
  return vbslq_f32(vcltq_f32(magnitude, Set(1.0F)), Fma(x, q, Set(0.5F)), far);
}

inline float32x4_t GeluErf(float32x4_t x) { return vmulq_f32(x, NormalCdf(x)); }

inline float32x4_t GeluTanh(float32x4_t x) {
  const float32x4_t cubic = vmulq_f32(vmulq_f32(Set(0.044715F), x), x);
  const float32x4_t inner = vmulq_f32(Set(0.7978845608F), Fma(cubic, x, x));
  return vmulq_f32(vmulq_f32(Set(0.5F), x), vaddq_f32(Set(1.0F), Tanh(inner)));
}

inline float32x4_t GeluQuick(float32x4_t x) {
  return vmulq_f32(x, Sigmoid(vmulq_f32(Set(1.702F), x)));
}

inline float32x4_t Softplus(float32x4_t x) {
  const float32x4_t y = Exp(vnegq_f32(vabsq_f32(x)));
  const float32x4_t s = vdivq_f32(y, vaddq_f32(Set(2.0F), y));
  const float32x4_t z = vmulq_f32(s, s);
  float32x4_t p = Fma(Set(0x1.f182b2p-4F), z, Set(0x1.b6e30ap-4F));
  p = Fma(p, z, Set(0x1.2508d8p-3F));
  p = Fma(p, z, Set(0x1.9996aep-3F));
  p = Fma(p, z, Set(0x1.555558p-2F));
  const float32x4_t half_log = Fma(vmulq_f32(s, z), p, s);
  return vaddq_f32(Larger(x, Set(0.0F)), vaddq_f32(half_log, half_log));
}

// Sixteen lanes of a sum, lane l of docs/arithmetic.md in number l % 4 of register l / 4; the fold
// is 16 > 8 > 4 > 2 > 1.
struct Lanes {
  float32x4_t at[4] = {Set(0.0F), Set(0.0F), Set(0.0F), Set(0.0F)};

  float Fold() const {
    const float32x4_t four = vaddq_f32(vaddq_f32(at[0], at[2]), vaddq_f32(at[1], at[3]));
    return vpadds_f32(vadd_f32(vget_low_f32(four), vget_high_f32(four)));
  }
};

// The first n of four numbers, 1 <= n <= 4; the other lanes are 0, and their memory is not touched.
inline float32x4_t LoadFirst(const float* x, std::size_t n) {
  if (n == 4) return vld1q_f32(x);
  float rest[4] = {};
  for (std::size_t i = 0; i < n; ++i) rest[i] = x[i];
  return vld1q_f32(rest);
}
inline void StoreFirst(float* y, std::size_t n, float32x4_t value) {
  if (n == 4) {
    vst1q_f32(y, value);
    return;
  }
  float rest[4];
  vst1q_f32(rest, value);
  for (std::size_t i = 0; i < n; ++i) y[i] = rest[i];
}

// Calls step(i, count) for every four of n numbers, the last of which may be fewer.
template <typename Step>
void ForEachFour(std::size_t n, const Step& step) {
  std::size_t i = 0;
  for (; i + 4 <= n; i += 4) step(i, 4);
  if (i < n) step(i, n - i);
}

// Calls step(register of Lanes, i, count) for every four of n numbers, the last of which may be
// fewer.
template <typename Step>
void ForEachLane(std::size_t n, const Step& step) {
  std::size_t i = 0;
  for (; i + 16 <= n; i += 16) {
    for (std::size_t l = 0; l < 4; ++l) step(l, i + 4 * l, 4);
  }
  for (std::size_t l = 0; i < n; ++l, i += 4) step(l, i, n - i < 4 ? n - i : 4);
}

}  // namespace
}  // namespace bramble::kernels::arm
