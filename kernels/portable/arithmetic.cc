#include "kernels/arithmetic.h"

#include "kernels/math.h"
#include "kernels/portable/kernels.h"

namespace bramble::kernels::portable {

void Add(const float* a, const float* b, std::size_t n, float* y) {
  for (std::size_t i = 0; i < n; ++i) y[i] = a[i] + b[i];
}

void Multiply(const float* a, const float* b, std::size_t n, float* y) {
  for (std::size_t i = 0; i < n; ++i) y[i] = a[i] * b[i];
}

void Maximum(const float* a, const float* b, std::size_t n, float* y) {
  for (std::size_t i = 0; i < n; ++i) y[i] = b[i] > a[i] ? b[i] : a[i];
}

void Scale(const float* a, float scalar, std::size_t n, float* y) {
  for (std::size_t i = 0; i < n; ++i) y[i] = a[i] * scalar;
}

void SoftCap(const float* a, float scalar, std::size_t n, float* y) {
  for (std::size_t i = 0; i < n; ++i) y[i] = scalar * Tanh(a[i] / scalar);
}

void Clamp(const float* a, float scalar, std::size_t n, float* y) {
  for (std::size_t i = 0; i < n; ++i) {
    const float low = a[i] < -scalar ? -scalar : a[i];
    y[i] = low > scalar ? scalar : low;
  }
}

void AddScaled(const float* a, float scalar, std::size_t n, float* y) {
  for (std::size_t i = 0; i < n; ++i) y[i] = Fma(scalar, a[i], y[i]);
}

}  // namespace bramble::kernels::portable
