#include "kernels/activation.h"

#include "kernels/math.h"
#include "kernels/portable/kernels.h"

namespace bramble::kernels::portable {
namespace {

// What is not a number stays so.
float Positive(float x) { return x < 0.0F ? 0.0F : x; }

template <Function kFunction>
float Apply(float x) {
  if constexpr (kFunction == Function::kRelu) return Positive(x);
  if constexpr (kFunction == Function::kReluSquared) return Positive(x) * Positive(x);
  if constexpr (kFunction == Function::kRelu6) return Positive(x) > 6.0F ? 6.0F : Positive(x);
  if constexpr (kFunction == Function::kGeluTanh) return GeluTanh(x);
  if constexpr (kFunction == Function::kGeluErf) return GeluErf(x);
  if constexpr (kFunction == Function::kGeluQuick) return GeluQuick(x);
  if constexpr (kFunction == Function::kSilu) return Silu(x);
  if constexpr (kFunction == Function::kTanh) return Tanh(x);
  if constexpr (kFunction == Function::kSigmoid) return Sigmoid(x);
  if constexpr (kFunction == Function::kSoftplus) return Softplus(x);
}

}  // namespace

template <Function kFunction>
void Activate(const float* x, std::size_t n, float* y) {
  for (std::size_t i = 0; i < n; ++i) y[i] = Apply<kFunction>(x[i]);
}

template <Function kFunction>
void Gate(const float* a, const float* b, float limit, float offset, std::size_t n, float* y) {
  for (std::size_t i = 0; i < n; ++i) {
    float left = a[i];
    float right = b[i];
    if (limit != 0.0F) {
      left = left > limit ? limit : left;
      right = right < -limit ? -limit : right;
      right = right > limit ? limit : right;
    }
    if (offset != 0.0F) right += offset;
    y[i] = Apply<kFunction>(left) * right;
  }
}

#define BRAMBLE_INSTANTIATE(function)                                                           \
  template void Activate<Function::function>(const float*, std::size_t, float*);                \
  template void Gate<Function::function>(const float*, const float*, float, float, std::size_t, \
                                         float*)
BRAMBLE_INSTANTIATE(kRelu);
BRAMBLE_INSTANTIATE(kReluSquared);
BRAMBLE_INSTANTIATE(kRelu6);
BRAMBLE_INSTANTIATE(kGeluTanh);
BRAMBLE_INSTANTIATE(kGeluErf);
BRAMBLE_INSTANTIATE(kGeluQuick);
BRAMBLE_INSTANTIATE(kSilu);
BRAMBLE_INSTANTIATE(kTanh);
BRAMBLE_INSTANTIATE(kSigmoid);
BRAMBLE_INSTANTIATE(kSoftplus);
#undef BRAMBLE_INSTANTIATE

}  // namespace bramble::kernels::portable
