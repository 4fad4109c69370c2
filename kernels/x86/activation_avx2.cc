#include "kernels/activation.h"
#include "kernels/x86/kernels.h"
#include "kernels/x86/math_avx2.h"

namespace bramble::kernels::x86 {
namespace {

template <Function kFunction>
__m256 Apply(__m256 x) {
  const __m256 positive = Larger(Set(0.0F), x);
  if constexpr (kFunction == Function::kRelu) return positive;
  if constexpr (kFunction == Function::kReluSquared) return _mm256_mul_ps(positive, positive);
  if constexpr (kFunction == Function::kRelu6) return Smaller(Set(6.0F), positive);
  if constexpr (kFunction == Function::kGeluTanh) return GeluTanh(x);
  if constexpr (kFunction == Function::kGeluErf) return GeluErf(x);
  if constexpr (kFunction == Function::kGeluQuick) return GeluQuick(x);
  if constexpr (kFunction == Function::kSilu) return Silu(x);
  if constexpr (kFunction == Function::kTanh) return Tanh(x);
  if constexpr (kFunction == Function::kSigmoid) return Sigmoid(x);
  if constexpr (kFunction == Function::kSoftplus) return Softplus(x);
}

template <Function kFunction>
void Activate(const float* x, std::size_t n, float* y) {
  std::size_t i = 0;
  for (; i + 8 <= n; i += 8) _mm256_storeu_ps(y + i, Apply<kFunction>(_mm256_loadu_ps(x + i)));
  if (i < n) StoreFirst(y + i, n - i, Apply<kFunction>(LoadFirst(x + i, n - i)));
}

template <Function kFunction>
__m256 GateEight(__m256 a, __m256 b, float limit, float offset) {
  if (limit != 0.0F) {
    a = Smaller(Set(limit), a);
    b = Smaller(Set(limit), Larger(Set(-limit), b));
  }
  if (offset != 0.0F) b = _mm256_add_ps(b, Set(offset));
  return _mm256_mul_ps(Apply<kFunction>(a), b);
}

template <Function kFunction>
void Gate(const float* a, const float* b, float limit, float offset, std::size_t n, float* y) {
  std::size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    _mm256_storeu_ps(
        y + i, GateEight<kFunction>(_mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i), limit, offset));
  }
  if (i < n) {
    StoreFirst(
        y + i, n - i,
        GateEight<kFunction>(LoadFirst(a + i, n - i), LoadFirst(b + i, n - i), limit, offset));
  }
}

using ActivateFn = void (*)(const float*, std::size_t, float*);
using GateAllFn = void (*)(const float*, const float*, float, float, std::size_t, float*);

struct Variant {
  ActivateFn activate;
  GateAllFn gate;
};

template <Function kFunction>
constexpr Variant Of() {
  return {Activate<kFunction>, Gate<kFunction>};
}

// Indexed by the function's number - 1.
constexpr Variant kVariants[] = {
    Of<Function::kRelu>(),     Of<Function::kReluSquared>(), Of<Function::kRelu6>(),
    Of<Function::kGeluTanh>(), Of<Function::kGeluErf>(),     Of<Function::kGeluQuick>(),
    Of<Function::kSilu>(),     Of<Function::kTanh>(),        Of<Function::kSigmoid>(),
    Of<Function::kSoftplus>(),
};

}  // namespace

void ActivateAvx2(Function function, const float* x, std::size_t n, float* y) {
  kVariants[static_cast<std::size_t>(function) - 1].activate(x, n, y);
}

void GateAvx2(Function function, const float* a, const float* b, float limit, float offset,
              std::size_t n, float* y) {
  kVariants[static_cast<std::size_t>(function) - 1].gate(a, b, limit, offset, n, y);
}

void SoftCapAvx2(const float* a, float scalar, std::size_t n, float* y) {
  const __m256 cap = Set(scalar);
  std::size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const __m256 x = _mm256_loadu_ps(a + i);
    _mm256_storeu_ps(y + i, _mm256_mul_ps(cap, Tanh(_mm256_div_ps(x, cap))));
  }
  if (i < n) {
    const __m256 x = LoadFirst(a + i, n - i);
    StoreFirst(y + i, n - i, _mm256_mul_ps(cap, Tanh(_mm256_div_ps(x, cap))));
  }
}

void AddScaledAvx2(const float* a, float scalar, std::size_t n, float* y) {
  const __m256 factor = Set(scalar);
  std::size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    _mm256_storeu_ps(y + i,
                     _mm256_fmadd_ps(factor, _mm256_loadu_ps(a + i), _mm256_loadu_ps(y + i)));
  }
  if (i < n) {
    StoreFirst(y + i, n - i,
               _mm256_fmadd_ps(factor, LoadFirst(a + i, n - i), LoadFirst(y + i, n - i)));
  }
}

}  // namespace bramble::kernels::x86
