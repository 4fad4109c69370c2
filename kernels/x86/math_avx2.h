// kernels/math.h for eight numbers at once: the same operations in each lane. Internal linkage:
// only files compiled for AVX2 include this.
#pragma once

#include <immintrin.h>

#include <cstddef>

namespace bramble::kernels::x86 {
namespace {

inline __m256 Set(float x) { return _mm256_set1_ps(x); }

inline __m256 Magnitude(__m256 x) { return _mm256_andnot_ps(Set(-0.0F), x); }

// where mask ? a : b
inline __m256 Select(__m256 mask, __m256 a, __m256 b) { return _mm256_blendv_ps(b, a, mask); }

inline __m256 Less(__m256 a, __m256 b) { return _mm256_cmp_ps(a, b, _CMP_LT_OQ); }
inline __m256 Greater(__m256 a, __m256 b) { return _mm256_cmp_ps(a, b, _CMP_GT_OQ); }

// a < b ? a : b and a > b ? a : b, also for zeros and for what is not a number: that stays, if it
// is the second.
inline __m256 Smaller(__m256 a, __m256 b) { return _mm256_min_ps(a, b); }
inline __m256 Larger(__m256 a, __m256 b) { return _mm256_max_ps(a, b); }

inline __m256 PowerOfTwo(__m256i n) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(127)), 23));
}

inline __m256 Exp(__m256 x) {
  const __m256 underflow = Set(-87.33654F);
  const __m256 overflow = Set(88.72284F);
  const __m256 clamped = Smaller(overflow, Larger(underflow, x));
  const __m256 k = _mm256_round_ps(_mm256_mul_ps(clamped, Set(0x1.715476p+0F)),
                                   _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  __m256 r = _mm256_fmadd_ps(k, Set(-0x1.62e400p-1F), clamped);
  r = _mm256_fmadd_ps(k, Set(-0x1.7f7d1cp-20F), r);
  __m256 q = _mm256_fmadd_ps(Set(0x1.6d445ap-10F), r, Set(0x1.120c72p-7F));
  q = _mm256_fmadd_ps(q, r, Set(0x1.5554e8p-5F));
  q = _mm256_fmadd_ps(q, r, Set(0x1.5554dcp-3F));
  q = _mm256_fmadd_ps(q, r, Set(0x1p-1F));
  const __m256 p = _mm256_add_ps(Set(1.0F), _mm256_fmadd_ps(_mm256_mul_ps(r, r), q, r));
  const __m256i n = _mm256_cvtps_epi32(k);
  // Half of n, truncated toward zero.
  const __m256i half = _mm256_srai_epi32(_mm256_add_epi32(n, _mm256_srli_epi32(n, 31)), 1);
  const __m256 scaled =
      _mm256_mul_ps(_mm256_mul_ps(p, PowerOfTwo(half)), PowerOfTwo(_mm256_sub_epi32(n, half)));
  const __m256 result = _mm256_andnot_ps(Less(x, underflow), scaled);
  return Select(_mm256_cmp_ps(x, overflow, _CMP_GE_OQ), Set(__builtin_inff()), result);
}

inline __m256 CopySign(__m256 magnitude, __m256 sign) {
  return _mm256_or_ps(Magnitude(magnitude), _mm256_and_ps(Set(-0.0F), sign));
}

inline __m256 Tanh(__m256 x) {
  const __m256 magnitude = Magnitude(x);
  const __m256 z = _mm256_mul_ps(magnitude, magnitude);
  __m256 p = _mm256_fmadd_ps(Set(-0x1.75e1fcp-8F), z, Set(0x1.5226a8p-6F));
  p = _mm256_fmadd_ps(p, z, Set(-0x1.b83c5cp-5F));
  p = _mm256_fmadd_ps(p, z, Set(0x1.110726p-3F));
  p = _mm256_fmadd_ps(p, z, Set(-0x1.555532p-2F));
  const __m256 near = _mm256_fmadd_ps(_mm256_mul_ps(magnitude, z), p, magnitude);
  const __m256 twice = Smaller(Set(20.0F), _mm256_add_ps(magnitude, magnitude));
  const __m256 quotient = _mm256_div_ps(Set(2.0F), _mm256_add_ps(Exp(twice), Set(1.0F)));
  const __m256 far = _mm256_sub_ps(Set(1.0F), quotient);
  return CopySign(Select(Less(magnitude, Set(0.625F)), near, far), x);
}

inline __m256 Negative(__m256 x) { return _mm256_xor_ps(x, Set(-0.0F)); }

inline __m256 OnePlusExpOfMinus(__m256 x) { return _mm256_add_ps(Set(1.0F), Exp(Negative(x))); }

inline __m256 Sigmoid(__m256 x) { return _mm256_div_ps(Set(1.0F), OnePlusExpOfMinus(x)); }

inline __m256 Silu(__m256 x) {
  const __m256 zero = _mm256_cmp_ps(x, Set(-88.72284F), _CMP_LE_OQ);
  return _mm256_andnot_ps(zero, _mm256_div_ps(x, OnePlusExpOfMinus(x)));
}

// The tail of NormalCdf: t = |x| limited to 14, square = t * t.
inline __m256 NormalTail(__m256 t, __m256 square) {
  const __m256 sum = _mm256_add_ps(t, Set(3.0F));
  const __m256 u = _mm256_div_ps(_mm256_sub_ps(t, Set(3.0F)), sum);
  __m256 p = _mm256_fmadd_ps(Set(0x1.c7370cp-15F), u, Set(0x1.125beep-13F));
  p = _mm256_fmadd_ps(p, u, Set(-0x1.00cca2p-12F));
  p = _mm256_fmadd_ps(p, u, Set(-0x1.0e9992p-10F));
  p = _mm256_fmadd_ps(p, u, Set(0x1.0caf74p-10F));
  p = _mm256_fmadd_ps(p, u, Set(0x1.c8bcb6p-8F));
  p = _mm256_fmadd_ps(p, u, Set(-0x1.56d654p-7F));
  p = _mm256_fmadd_ps(p, u, Set(-0x1.832d0ap-5F));
  p = _mm256_fmadd_ps(p, u, Set(0x1.d71386p-3F));
  p = _mm256_fmadd_ps(p, u, Set(-0x1.04c72ap-1F));
  p = _mm256_fmadd_ps(p, u, Set(0x1.754a76p-1F));
  const __m256 rest = _mm256_fmsub_ps(t, t, square);
  __m256 e = Exp(_mm256_mul_ps(Set(-0.5F), square));
  e = _mm256_fmadd_ps(e, _mm256_mul_ps(Set(-0.5F), rest), e);
  return _mm256_mul_ps(e, _mm256_div_ps(p, sum));
}

inline __m256 NormalCdf(__m256 x) {
  const __m256 magnitude = Magnitude(x);
  const __m256 t = Smaller(Set(14.0F), magnitude);
  const __m256 square = _mm256_mul_ps(t, t);
  const __m256 tail = NormalTail(t, square);
  const __m256 far = Select(Less(x, Set(0.0F)), tail, _mm256_sub_ps(Set(1.0F), tail));
  __m256 q = _mm256_fmadd_ps(Set(-0x1.00c76ep-17F), square, Set(0x1.dbfb2cp-14F));
  q = _mm256_fmadd_ps(q, square, Set(-0x1.36fd10p-10F));
  q = _mm256_fmadd_ps(q, square, Set(0x1.46ce4cp-7F));
  q = _mm256_fmadd_ps(q, square, Set(-0x1.105832p-4F));
  q = _mm256_fmadd_ps(q, square, Set(0x1.988454p-2F));
  return Select(Less(magnitude, Set(1.0F)), _mm256_fmadd_ps(x, q, Set(0.5F)), far);
}

inline __m256 GeluErf(__m256 x) { return _mm256_mul_ps(x, NormalCdf(x)); }

inline __m256 GeluTanh(__m256 x) {
  const __m256 cubic = _mm256_mul_ps(_mm256_mul_ps(Set(0.044715F), x), x);
  const __m256 inner = _mm256_mul_ps(Set(0.7978845608F), _mm256_fmadd_ps(cubic, x, x));
  return _mm256_mul_ps(_mm256_mul_ps(Set(0.5F), x), _mm256_add_ps(Set(1.0F), Tanh(inner)));
}

inline __m256 GeluQuick(__m256 x) {
  return _mm256_mul_ps(x, Sigmoid(_mm256_mul_ps(Set(1.702F), x)));
}

inline __m256 Softplus(__m256 x) {
  const __m256 y = Exp(_mm256_or_ps(x, Set(-0.0F)));
  const __m256 s = _mm256_div_ps(y, _mm256_add_ps(Set(2.0F), y));
  const __m256 z = _mm256_mul_ps(s, s);
  __m256 p = _mm256_fmadd_ps(Set(0x1.f182b2p-4F), z, Set(0x1.b6e30ap-4F));
  p = _mm256_fmadd_ps(p, z, Set(0x1.2508d8p-3F));
  p = _mm256_fmadd_ps(p, z, Set(0x1.9996aep-3F));
  p = _mm256_fmadd_ps(p, z, Set(0x1.555558p-2F));
  const __m256 half_log = _mm256_fmadd_ps(_mm256_mul_ps(s, z), p, s);
  return _mm256_add_ps(Larger(x, Set(0.0F)), _mm256_add_ps(half_log, half_log));
}

// Sixteen lanes of a sum, lane l of docs/arithmetic.md in number l; the fold is 16 > 8 > 4 > 2 > 1.
inline float Fold(__m256 low, __m256 high) {
  const __m256 eight = _mm256_add_ps(low, high);
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

// A mask of the first n of eight lanes, n <= 8.
inline __m256i FirstLanes(std::size_t n) {
  const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), lanes);
}

// The first n <= 8 numbers; the other lanes are 0, and their memory is not touched.
inline __m256 LoadFirst(const float* x, std::size_t n) {
  return _mm256_maskload_ps(x, FirstLanes(n));
}
inline void StoreFirst(float* y, std::size_t n, __m256 value) {
  _mm256_maskstore_ps(y, FirstLanes(n), value);
}

}  // namespace
}  // namespace bramble::kernels::x86
