#include "kernels/sequence.h"
#include "kernels/x86/kernels.h"
#include "kernels/x86/math_avx2.h"

namespace bramble::kernels::x86 {
namespace {

inline __m256 LoadUpTo(const float* x, std::size_t n) {
  return n == 8 ? _mm256_loadu_ps(x) : LoadFirst(x, n);
}
inline void StoreUpTo(float* y, std::size_t n, __m256 value) {
  if (n == 8) {
    _mm256_storeu_ps(y, value);
  } else {
    StoreFirst(y, n, value);
  }
}
inline std::size_t UpToEight(std::size_t n) { return n < 8 ? n : 8; }

// Eight numbers of a column's state from `s` on. The lanes beyond it are 0 times 0.
template <typename Factor>
inline void AdvanceEight(const StateSpaceArgs& args, __m256 u, float* state, const Factor& factor,
                         std::size_t s, __m256& sum) {
  const std::size_t n = UpToEight(args.state_size - s);
  const __m256 next = _mm256_fmadd_ps(factor(s, n), LoadUpTo(state + s, n),
                                      _mm256_mul_ps(u, LoadUpTo(args.b + s, n)));
  StoreUpTo(state + s, n, next);
  sum = _mm256_fmadd_ps(next, LoadUpTo(args.c + s, n), sum);
}

template <typename Factor>
inline float Advance(const StateSpaceArgs& args, float u, float* state, const Factor& factor) {
  __m256 low = _mm256_setzero_ps();
  __m256 high = _mm256_setzero_ps();
  for (std::size_t s = 0; s < args.state_size; s += 16) {
    AdvanceEight(args, Set(u), state, factor, s, low);
    if (s + 8 < args.state_size) AdvanceEight(args, Set(u), state, factor, s + 8, high);
  }
  return Fold(low, high);
}

inline float FmaOne(float a, float b, float c) {
  return _mm_cvtss_f32(_mm_fmadd_ss(_mm_set_ss(a), _mm_set_ss(b), _mm_set_ss(c)));
}

inline void WkvEight(const WkvArgs& args, std::size_t i, std::size_t n) {
  const __m256 k = LoadUpTo(args.k + i, n);
  const __m256 v = LoadUpTo(args.v + i, n);
  const __m256 before = LoadUpTo(args.maximum + i, n);
  const __m256 old_numerator = LoadUpTo(args.numerator + i, n);
  const __m256 old_denominator = LoadUpTo(args.denominator + i, n);
  const __m256 own = _mm256_add_ps(k, LoadUpTo(args.first + i, n));
  const __m256 largest = Larger(before, own);
  const __m256 old_weight = Exp(_mm256_sub_ps(before, largest));
  const __m256 own_weight = Exp(_mm256_sub_ps(own, largest));
  const __m256 numerator = _mm256_fmadd_ps(old_weight, old_numerator, _mm256_mul_ps(own_weight, v));
  const __m256 denominator = _mm256_fmadd_ps(old_weight, old_denominator, own_weight);
  const __m256 decayed = _mm256_add_ps(before, LoadUpTo(args.decay + i, n));
  const __m256 maximum = Larger(decayed, k);
  const __m256 kept = Exp(_mm256_sub_ps(decayed, maximum));
  const __m256 added = Exp(_mm256_sub_ps(k, maximum));
  StoreUpTo(args.numerator + i, n, _mm256_fmadd_ps(kept, old_numerator, _mm256_mul_ps(added, v)));
  StoreUpTo(args.denominator + i, n, _mm256_fmadd_ps(kept, old_denominator, added));
  StoreUpTo(args.maximum + i, n, maximum);
  StoreUpTo(args.y + i, n, _mm256_div_ps(numerator, denominator));
}

}  // namespace

void ConvolutionAvx2(const ConvolutionArgs& args) {
  for (std::size_t i = 0; i < args.n; i += 8) {
    const std::size_t n = UpToEight(args.n - i);
    __m256 sum = _mm256_setzero_ps();
    for (std::size_t j = 0; j < args.taps; ++j) {
      sum = _mm256_fmadd_ps(LoadUpTo(args.weights + j * args.weight_stride + i, n),
                            LoadUpTo(args.rows[j] + i, n), sum);
    }
    if (args.bias != nullptr) sum = _mm256_add_ps(sum, LoadUpTo(args.bias + i, n));
    StoreUpTo(args.y + i, n, sum);
  }
}

void SelectiveScanAvx2(const StateSpaceArgs& args) {
  for (std::size_t i = 0; i < args.n; ++i) {
    const __m256 step = Set(args.step[i]);
    const float* decay = args.decay + i * args.state_size;
    const auto factor = [&](std::size_t s, std::size_t n) {
      return Exp(_mm256_mul_ps(step, LoadUpTo(decay + s, n)));
    };
    const float read =
        Advance(args, args.step[i] * args.x[i], args.state + i * args.state_size, factor);
    args.y[i] = FmaOne(args.skip[i], args.x[i], read);
  }
}

void StateSpaceDualAvx2(const StateSpaceArgs& args) {
  const __m256 all = Exp(Set(*args.step * *args.decay));
  const auto factor = [&](std::size_t, std::size_t) { return all; };
  for (std::size_t i = 0; i < args.n; ++i) {
    const float read =
        Advance(args, *args.step * args.x[i], args.state + i * args.state_size, factor);
    args.y[i] = FmaOne(*args.skip, args.x[i], read);
  }
}

void WkvAvx2(const WkvArgs& args) {
  for (std::size_t i = 0; i < args.n; i += 8) WkvEight(args, i, UpToEight(args.n - i));
}

}  // namespace bramble::kernels::x86
