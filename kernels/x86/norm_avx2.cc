#include "kernels/norm.h"
#include "kernels/x86/kernels.h"
#include "kernels/x86/math_avx2.h"

namespace bramble::kernels::x86 {
namespace {

// Calls step(lanes 0..7 or 8..15, offset, how many numbers) for every eight numbers, the last of
// which may be fewer.
template <typename Step>
void ForEachEight(std::size_t n, const Step& step) {
  std::size_t i = 0;
  for (; i + 16 <= n; i += 16) {
    step(0, i, 8);
    step(1, i + 8, 8);
  }
  if (i < n) step(0, i, n - i < 8 ? n - i : 8);
  if (i + 8 < n) step(1, i + 8, n - i - 8);
}

inline __m256 LoadUpTo(const float* x, std::size_t count) {
  return count == 8 ? _mm256_loadu_ps(x) : LoadFirst(x, count);
}

inline void StoreUpTo(float* y, std::size_t count, __m256 value) {
  if (count == 8) {
    _mm256_storeu_ps(y, value);
  } else {
    StoreFirst(y, count, value);
  }
}

float SumOfSquares(const float* x, std::size_t n) {
  __m256 lanes[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
  ForEachEight(n, [&](std::size_t half, std::size_t i, std::size_t count) {
    const __m256 v = LoadUpTo(x + i, count);
    // A lane without a number adds 0 * 0, which changes nothing: sums of squares are never -0.
    lanes[half] = _mm256_fmadd_ps(v, v, lanes[half]);
  });
  return Fold(lanes[0], lanes[1]);
}

void Finish(const float* x, float s, const float* gain, const float* bias, std::size_t n,
            float* y) {
  const __m256 factor = Set(s);
  ForEachEight(n, [&](std::size_t /*half*/, std::size_t i, std::size_t count) {
    __m256 value = _mm256_mul_ps(LoadUpTo(x + i, count), factor);
    if (gain != nullptr) value = _mm256_mul_ps(value, LoadUpTo(gain + i, count));
    if (bias != nullptr) value = _mm256_add_ps(value, LoadUpTo(bias + i, count));
    StoreUpTo(y + i, count, value);
  });
}

inline float SquareRoot(float x) { return _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(x))); }

}  // namespace

void RmsNormAvx2(const float* x, const float* gain, const float* bias, float epsilon, std::size_t n,
                 float* y) {
  const float mean = SumOfSquares(x, n) / static_cast<float>(n);
  Finish(x, 1.0F / SquareRoot(mean + epsilon), gain, bias, n, y);
}

void LayerNormAvx2(const float* x, const float* gain, const float* bias, float epsilon,
                   std::size_t n, float* y) {
  __m256 lanes[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
  ForEachEight(n, [&](std::size_t half, std::size_t i, std::size_t count) {
    lanes[half] = _mm256_add_ps(lanes[half], LoadUpTo(x + i, count));
  });
  const __m256 mean = Set(Fold(lanes[0], lanes[1]) / static_cast<float>(n));
  ForEachEight(n, [&](std::size_t /*half*/, std::size_t i, std::size_t count) {
    StoreUpTo(y + i, count, _mm256_sub_ps(LoadUpTo(x + i, count), mean));
  });
  const float variance = SumOfSquares(y, n) / static_cast<float>(n);
  Finish(y, 1.0F / SquareRoot(variance + epsilon), gain, bias, n, y);
}

void L2NormAvx2(const float* x, const float* gain, const float* bias, float epsilon, std::size_t n,
                float* y) {
  const float length = SquareRoot(SumOfSquares(x, n));
  Finish(x, 1.0F / (length > epsilon ? length : epsilon), gain, bias, n, y);
}

}  // namespace bramble::kernels::x86
