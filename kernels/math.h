// The functions of docs/arithmetic.md on one number: sequences of IEEE operations, the same on
// every CPU. Nothing of libm is used but square root and, where the CPU has it, fused multiply-add.
// For ordinary code only: a file with instruction-set flags has its own forms
// (kernels/x86/math_avx2.h).
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace bramble::kernels {

// a * b + c with one rounding.
//
// Without the instruction: the product of two floats is exact in double; the sum is rounded to odd
// (if it is inexact, to the neighbour with the odd last bit, found from the exact error of the
// addition), and a value rounded to odd with 53 bits rounds to 24 as the exact value would (S.
// Boldo, G. Melquiond, Emulation of a FMA and correctly rounded sums, 2008). Written without
// branches, so that a loop over lanes becomes vector code.
inline float Fma(float a, float b, float c) {
#ifdef FP_FAST_FMAF
  return std::fma(a, b, c);
#else
  const double product = static_cast<double>(a) * static_cast<double>(b);
  const auto addend = static_cast<double>(c);
  const double sum = product + addend;
  const double part = sum - product;
  const double difference = (product - (sum - part)) + (addend - part);
  // Not a number if the sum is infinite or none: that stays as it is.
  const double error = difference == difference ? difference : 0.0;
  const auto sum_bits = std::bit_cast<std::uint64_t>(sum);
  const auto error_bits = std::bit_cast<std::uint64_t>(error);
  // 1 if the last bit must change: the sum is even and the error is not zero.
  const std::uint64_t magnitude = error_bits << 1U;
  const std::uint64_t inexact = (magnitude | (0U - magnitude)) >> 63U;
  const std::uint64_t change = inexact & ~sum_bits;
  // Away from zero if the error has the sign of the sum, else towards it.
  const std::uint64_t inward = (error_bits ^ sum_bits) >> 63U;
  return static_cast<float>(std::bit_cast<double>(sum_bits + change - ((change & inward) << 1U)));
#endif
}

inline double Fma(double a, double b, double c) { return std::fma(a, b, c); }

// To the nearest whole number, ties to even; |x| < 2^22. Not std::rint, which is a call where
// SSE4.1 is lacking.
inline float RoundToWhole(float x) {
  constexpr float kShift = 0x1.8p23F;
  return (x + kShift) - kShift;
}

// 2^n, -126 <= n <= 127.
inline float PowerOfTwo(std::int32_t n) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(n + 127) << 23U);
}

inline constexpr float kExpOverflow = 88.72284F;    // from here on: infinity
inline constexpr float kExpUnderflow = -87.33654F;  // below: 0

// e^x. x >= 88.72284: infinity; x < -87.33654: 0. Otherwise within 1.04 ulp.
inline float Exp(float x) {
  const float low = x < kExpUnderflow ? kExpUnderflow : x;
  const float clamped = low > kExpOverflow ? kExpOverflow : low;
  const float k = RoundToWhole(clamped * 0x1.715476p+0F);
  float r = Fma(k, -0x1.62e400p-1F, clamped);
  r = Fma(k, -0x1.7f7d1cp-20F, r);
  float q = Fma(0x1.6d445ap-10F, r, 0x1.120c72p-7F);
  q = Fma(q, r, 0x1.5554e8p-5F);
  q = Fma(q, r, 0x1.5554dcp-3F);
  q = Fma(q, r, 0x1p-1F);
  const float p = 1.0F + Fma(r * r, q, r);
  const auto n = static_cast<std::int32_t>(k);
  const std::int32_t half = n / 2;
  float result = (p * PowerOfTwo(half)) * PowerOfTwo(n - half);
  result = x < kExpUnderflow ? 0.0F : result;
  return x >= kExpOverflow ? INFINITY : result;
}

// Near zero an odd polynomial, else 1 - 2 / (e^(2|x|) + 1) with the sign of x. Within 2 ulp.
inline float Tanh(float x) {
  const float magnitude = std::fabs(x);
  const float z = magnitude * magnitude;
  float p = Fma(-0x1.75e1fcp-8F, z, 0x1.5226a8p-6F);
  p = Fma(p, z, -0x1.b83c5cp-5F);
  p = Fma(p, z, 0x1.110726p-3F);
  p = Fma(p, z, -0x1.555532p-2F);
  const float near = Fma(magnitude * z, p, magnitude);
  const float twice = magnitude + magnitude;
  const float far = 1.0F - 2.0F / (Exp(twice > 20.0F ? 20.0F : twice) + 1.0F);
  return std::copysign(magnitude < 0.625F ? near : far, x);
}

// 1 / (1 + e^-x)
inline float Sigmoid(float x) { return 1.0F / (1.0F + Exp(-x)); }

// x / (1 + e^-x); 0 for x <= -88.72284.
inline float Silu(float x) {
  const float quotient = x / (1.0F + Exp(-x));
  return x <= -kExpOverflow ? 0.0F : quotient;
}

// The share of a standard normal distribution below x: (1 + erf(x / sqrt 2)) / 2. For x < 0, with t
// = |x|, it is e^(-t^2 / 2) * P((t - 3) / (t + 3)) / (t + 3), so that small values keep their
// precision; t^2 is taken with its rounding error. Within 5 ulp.
inline float NormalCdf(float x) {
  const float magnitude = std::fabs(x);
  const float t = magnitude > 14.0F ? 14.0F : magnitude;
  const float u = (t - 3.0F) / (t + 3.0F);
  float p = Fma(0x1.c7370cp-15F, u, 0x1.125beep-13F);
  p = Fma(p, u, -0x1.00cca2p-12F);
  p = Fma(p, u, -0x1.0e9992p-10F);
  p = Fma(p, u, 0x1.0caf74p-10F);
  p = Fma(p, u, 0x1.c8bcb6p-8F);
  p = Fma(p, u, -0x1.56d654p-7F);
  p = Fma(p, u, -0x1.832d0ap-5F);
  p = Fma(p, u, 0x1.d71386p-3F);
  p = Fma(p, u, -0x1.04c72ap-1F);
  p = Fma(p, u, 0x1.754a76p-1F);
  const float square = t * t;
  const float rest = Fma(t, t, -square);
  float e = Exp(-0.5F * square);
  e = Fma(e, -0.5F * rest, e);
  const float tail = e * (p / (t + 3.0F));
  const float far = x < 0.0F ? tail : 1.0F - tail;
  float q = Fma(-0x1.00c76ep-17F, square, 0x1.dbfb2cp-14F);
  q = Fma(q, square, -0x1.36fd10p-10F);
  q = Fma(q, square, 0x1.46ce4cp-7F);
  q = Fma(q, square, -0x1.105832p-4F);
  q = Fma(q, square, 0x1.988454p-2F);
  return magnitude < 1.0F ? Fma(x, q, 0.5F) : far;
}

// x * NormalCdf(x)
inline float GeluErf(float x) { return x * NormalCdf(x); }

// The tanh form of GELU.
inline float GeluTanh(float x) {
  const float cubic = (0.044715F * x) * x;
  const float inner = 0.7978845608F * Fma(cubic, x, x);
  return (0.5F * x) * (1.0F + Tanh(inner));
}

// x * sigmoid(1.702 x)
inline float GeluQuick(float x) { return x * Sigmoid(1.702F * x); }

// log(1 + e^x) = max(x, 0) + log(1 + e^-|x|)
inline float Softplus(float x) {
  const float y = Exp(-std::fabs(x));
  const float s = y / (2.0F + y);
  const float z = s * s;
  float p = Fma(0x1.f182b2p-4F, z, 0x1.b6e30ap-4F);
  p = Fma(p, z, 0x1.2508d8p-3F);
  p = Fma(p, z, 0x1.9996aep-3F);
  p = Fma(p, z, 0x1.555558p-2F);
  const float half_log = Fma(s * z, p, s);
  const float positive = x > 0.0F ? x : 0.0F;
  return positive + (half_log + half_log);
}

// e^x in double, without fused operations (it runs over whole vocabularies on any CPU): within 1
// ulp or so. x < -708: 0; x > 709: infinity.
double Exp(double x);

// Natural logarithm of a positive, normal x; within 1 ulp or so.
double Log(double x);

// Sine and cosine of a, |a| < 2^31; within 2^-52 or so.
void SinCos(double a, double* sine, double* cosine);

}  // namespace bramble::kernels
