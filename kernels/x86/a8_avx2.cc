#include "kernels/a8.h"
#include "kernels/x86/kernels.h"
#include "kernels/x86/math_avx2.h"

namespace bramble::kernels::x86 {
namespace {

inline float LargestLane(__m256 x) {
  __m128 four = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  four = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(four, _mm_movehdup_ps(four)));
}

inline int SumLanes(__m128i four) {
  four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
  return _mm_cvtsi128_si32(_mm_add_epi32(four, _mm_shuffle_epi32(four, 0xb1)));
}

// The sum of 16 signed bytes.
inline int SumBytes(__m128i bytes) {
  const __m256i words = _mm256_cvtepi8_epi16(bytes);
  const __m256i pairs = _mm256_madd_epi16(words, _mm256_set1_epi16(1));
  return SumLanes(_mm_add_epi32(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256(pairs, 1)));
}

inline __m256i Rounded(const float* x, __m256 inverse) {
  return _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x), inverse));
}

// Writes a group whose largest magnitude is at least 2^-100.
void QuantizeGroup(const float* x, float amax, A8Group* group) {
  const __m256 inverse = Set(127.0F / amax);
  const __m256i low = _mm256_packs_epi32(Rounded(x, inverse), Rounded(x + 8, inverse));
  const __m256i high = _mm256_packs_epi32(Rounded(x + 16, inverse), Rounded(x + 24, inverse));
  // Packing works within halves of a register; the permutation puts the fours back in order.
  const __m256i bytes = _mm256_permutevar8x32_epi32(_mm256_packs_epi16(low, high),
                                                    _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(group->q), bytes);
  const int first = SumBytes(_mm256_castsi256_si128(bytes));
  const int second = SumBytes(_mm256_extracti128_si256(bytes, 1));
  group->scale = amax / 127.0F;
  group->sum = first + second;
  group->scaled_sum = group->scale * static_cast<float>(group->sum);
  group->half_sums[0] = static_cast<std::int16_t>(first);
  group->half_sums[1] = static_cast<std::int16_t>(second);
}

}  // namespace

bool QuantizeA8Avx2(const float* x, std::size_t n, std::byte* row) {
  auto* group = reinterpret_cast<A8Group*>(row);
  for (std::size_t i = 0; i < n; i += kA8Values, ++group) {
    __m256 largest = _mm256_setzero_ps();
    __m256 finite = _mm256_castsi256_ps(_mm256_set1_epi32(-1));
    for (std::size_t j = 0; j < kA8Values; j += 8) {
      const __m256 magnitude = Magnitude(_mm256_loadu_ps(x + i + j));
      finite = _mm256_and_ps(finite, _mm256_cmp_ps(magnitude, Set(0x1.fffffep127F), _CMP_LE_OQ));
      largest = Larger(magnitude, largest);
    }
    if (_mm256_movemask_ps(finite) != 255) return false;
    const float amax = LargestLane(largest);
    if (amax < 0x1p-100F) {
      *group = A8Group{};
    } else {
      QuantizeGroup(x + i, amax, group);
    }
  }
  return true;
}

}  // namespace bramble::kernels::x86
