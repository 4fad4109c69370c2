#include "kernels/convert.h"
#include "kernels/rope.h"
#include "kernels/x86/kernels.h"
#include "kernels/x86/math_avx2.h"

namespace bramble::kernels::x86 {
namespace {

// Pairs (x[i], x[i + pairs]) of eight i.
struct Turned {
  __m256 a;
  __m256 b;
};

inline Turned Turn(__m256 a, __m256 b, __m256 cosine, __m256 sine) {
  return {_mm256_fmsub_ps(a, cosine, _mm256_mul_ps(b, sine)),
          _mm256_fmadd_ps(a, sine, _mm256_mul_ps(b, cosine))};
}

}  // namespace

void RopeHalfAvx2(const float* x, const float* cosines, const float* sines, std::size_t pairs,
                  std::size_t heads, std::size_t head_dim, float* y) {
  for (std::size_t h = 0; h < heads; ++h, x += head_dim, y += head_dim) {
    std::size_t i = 0;
    for (; i + 8 <= pairs; i += 8) {
      const Turned t = Turn(_mm256_loadu_ps(x + i), _mm256_loadu_ps(x + pairs + i),
                            _mm256_loadu_ps(cosines + i), _mm256_loadu_ps(sines + i));
      _mm256_storeu_ps(y + i, t.a);
      _mm256_storeu_ps(y + pairs + i, t.b);
    }
    if (i < pairs) {
      const std::size_t n = pairs - i;
      const Turned t = Turn(LoadFirst(x + i, n), LoadFirst(x + pairs + i, n),
                            LoadFirst(cosines + i, n), LoadFirst(sines + i, n));
      StoreFirst(y + i, n, t.a);
      StoreFirst(y + pairs + i, n, t.b);
    }
    for (std::size_t rest = 2 * pairs; rest < head_dim; ++rest) y[rest] = x[rest];
  }
}

void FloatsToHalvesAvx2(const float* x, std::size_t n, std::uint16_t* y) {
  std::size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const __m128i halves =
        _mm256_cvtps_ph(_mm256_loadu_ps(x + i), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(y + i), halves);
  }
  if (i == n) return;
  alignas(16) std::uint16_t rest[8];
  const __m128i halves =
      _mm256_cvtps_ph(LoadFirst(x + i, n - i), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  _mm_store_si128(reinterpret_cast<__m128i*>(rest), halves);
  for (std::size_t j = 0; i + j < n; ++j) y[i + j] = rest[j];
}

}  // namespace bramble::kernels::x86
