#include "kernels/activation.h"
#include "kernels/arm/kernels.h"
#include "kernels/arm/math_neon.h"

namespace bramble::kernels::arm {
namespace {

template <Function kFunction>
float32x4_t Apply(float32x4_t x) {
  const float32x4_t positive = Larger(Set(0.0F), x);
  if constexpr (kFunction == Function::kRelu) return positive;
  if constexpr (kFunction == Function::kReluSquared) return vmulq_f32(positive, positive);
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
  ForEachFour(n, [=](std::size_t i, std::size_t count) {
    StoreFirst(y + i, count, Apply<kFunction>(LoadFirst(x + i, count)));
  });
}

template <Function kFunction>
float32x4_t GateFour(float32x4_t a, float32x4_t b, float limit, float offset) {
  if (limit != 0.0F) {
    a = Smaller(Set(limit), a);
    b = Smaller(Set(limit), Larger(Set(-limit), b));
  }
  if (offset != 0.0F) b = vaddq_f32(b, Set(offset));
  return vmulq_f32(Apply<kFunction>(a), b);
}

template <Function kFunction>
void Gate(const float* a, const float* b, float limit, float offset, std::size_t n, float* y) {
  ForEachFour(n, [=](std::size_t i, std::size_t count) {
    const float32x4_t left = LoadFirst(a + i, count);
    const float32x4_t right = LoadFirst(b + i, count);
    StoreFirst(y + i, count, GateFour<kFunction>(left, right, limit, offset));
  });
}

struct Variant {
  void (*activate)(const float*, std::size_t, float*);
  void (*gate)(const float*, const float*, float, float, std::size_t, float*);
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

void ActivateNeon(Function function, const float* x, std::size_t n, float* y) {
  kVariants[static_cast<std::size_t>(function) - 1].activate(x, n, y);
}

void GateNeon(Function function, const float* a, const float* b, float limit, float offset,
              std::size_t n, float* y) {
  kVariants[static_cast<std::size_t>(function) - 1].gate(a, b, limit, offset, n, y);
}

void SoftCapNeon(const float* a, float scalar, std::size_t n, float* y) {
  const float32x4_t cap = Set(scalar);
  ForEachFour(n, [=](std::size_t i, std::size_t count) {
    const float32x4_t x = LoadFirst(a + i, count);
    StoreFirst(y + i, count, vmulq_f32(cap, Tanh(vdivq_f32(x, cap))));
  });
}

void AddScaledNeon(const float* a, float scalar, std::size_t n, float* y) {
  const float32x4_t factor = Set(scalar);
  ForEachFour(n, [=](std::size_t i, std::size_t count) {
    StoreFirst(y + i, count, Fma(factor, LoadFirst(a + i, count), LoadFirst(y + i, count)));
  });
}

}  // namespace bramble::kernels::arm
