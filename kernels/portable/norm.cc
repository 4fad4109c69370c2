#include "kernels/norm.h"

#include <cmath>

#include "kernels/portable/kernels.h"
#include "kernels/portable/lanes.h"

namespace bramble::kernels::portable {
namespace {

// y = x * s, then gain and bias where given.
void Finish(const float* x, float s, const float* gain, const float* bias, std::size_t n,
            float* y) {
  for (std::size_t i = 0; i < n; ++i) {
    float value = x[i] * s;
    if (gain != nullptr) value *= gain[i];
    if (bias != nullptr) value += bias[i];
    y[i] = value;
  }
}

}  // namespace

void RmsNorm(const float* x, const float* gain, const float* bias, float epsilon, std::size_t n,
             float* y) {
  const float mean = Dot(x, x, n) / static_cast<float>(n);
  Finish(x, 1.0F / std::sqrt(mean + epsilon), gain, bias, n, y);
}

void LayerNorm(const float* x, const float* gain, const float* bias, float epsilon, std::size_t n,
               float* y) {
  const float mean = Sum(x, n) / static_cast<float>(n);
  float lanes[kLanes] = {};
  for (std::size_t i = 0; i < n; ++i) {
    const float centred = x[i] - mean;
    lanes[i % kLanes] = Fma(centred, centred, lanes[i % kLanes]);
    y[i] = centred;
  }
  const float variance = FoldLanes(lanes) / static_cast<float>(n);
  Finish(y, 1.0F / std::sqrt(variance + epsilon), gain, bias, n, y);
}

void L2Norm(const float* x, const float* gain, const float* bias, float epsilon, std::size_t n,
            float* y) {
  const float length = std::sqrt(Dot(x, x, n));
  Finish(x, 1.0F / (length > epsilon ? length : epsilon), gain, bias, n, y);
}

}  // namespace bramble::kernels::portable
