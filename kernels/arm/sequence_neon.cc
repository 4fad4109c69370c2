#include "kernels/arm/kernels.h"
#include "kernels/arm/math_neon.h"
#include "kernels/sequence.h"

namespace bramble::kernels::arm {
namespace {

// One column: its state moves on, and is read. factor(s, count): what the numbers from s on shrink
// by. Lanes beyond the state are 0 times 0.
template <typename Factor>
float Advance(const StateSpaceArgs& args, float u, float* state, const Factor& factor) {
  Lanes lanes;
  ForEachLane(args.state_size, [&](std::size_t l, std::size_t s, std::size_t count) {
    const float32x4_t added = vmulq_f32(Set(u), LoadFirst(args.b + s, count));
    const float32x4_t next = Fma(factor(s, count), LoadFirst(state + s, count), added);
    StoreFirst(state + s, count, next);
    lanes.at[l] = Fma(next, LoadFirst(args.c + s, count), lanes.at[l]);
  });
  return lanes.Fold();
}

}  // namespace

void ConvolutionNeon(const ConvolutionArgs& args) {
  ForEachFour(args.n, [&](std::size_t i, std::size_t count) {
    float32x4_t sum = Set(0.0F);
    for (std::size_t j = 0; j < args.taps; ++j) {
      sum = Fma(LoadFirst(args.weights + j * args.weight_stride + i, count),
                LoadFirst(args.rows[j] + i, count), sum);
    }
    if (args.bias != nullptr) sum = vaddq_f32(sum, LoadFirst(args.bias + i, count));
    StoreFirst(args.y + i, count, sum);
  });
}

void SelectiveScanNeon(const StateSpaceArgs& args) {
  for (std::size_t i = 0; i < args.n; ++i) {
    const float32x4_t step = Set(args.step[i]);
    const float* decay = args.decay + i * args.state_size;
    const auto factor = [=](std::size_t s, std::size_t count) {
      return Exp(vmulq_f32(step, LoadFirst(decay + s, count)));
    };
    const float read =
        Advance(args, args.step[i] * args.x[i], args.state + i * args.state_size, factor);
    args.y[i] = Fma(args.skip[i], args.x[i], read);
  }
}

void StateSpaceDualNeon(const StateSpaceArgs& args) {
  const float32x4_t all = Exp(Set(*args.step * *args.decay));
  const auto factor = [=](std::size_t, std::size_t) { return all; };
  for (std::size_t i = 0; i < args.n; ++i) {
    const float read =
        Advance(args, *args.step * args.x[i], args.state + i * args.state_size, factor);
    args.y[i] = Fma(*args.skip, args.x[i], read);
  }
}

void WkvNeon(const WkvArgs& args) {
  ForEachFour(args.n, [&](std::size_t i, std::size_t count) {
    const float32x4_t k = LoadFirst(args.k + i, count);
    const float32x4_t v = LoadFirst(args.v + i, count);
    const float32x4_t before = LoadFirst(args.maximum + i, count);
    const float32x4_t old_numerator = LoadFirst(args.numerator + i, count);
    const float32x4_t old_denominator = LoadFirst(args.denominator + i, count);
    const float32x4_t own = vaddq_f32(k, LoadFirst(args.first + i, count));
    const float32x4_t largest = Larger(before, own);
    const float32x4_t old_weight = Exp(vsubq_f32(before, largest));
    const float32x4_t own_weight = Exp(vsubq_f32(own, largest));
    const float32x4_t numerator = Fma(old_weight, old_numerator, vmulq_f32(own_weight, v));
    const float32x4_t denominator = Fma(old_weight, old_denominator, own_weight);
    const float32x4_t decayed = vaddq_f32(before, LoadFirst(args.decay + i, count));
    const float32x4_t maximum = Larger(decayed, k);
    const float32x4_t kept = Exp(vsubq_f32(decayed, maximum));
    const float32x4_t added = Exp(vsubq_f32(k, maximum));
    StoreFirst(args.numerator + i, count, Fma(kept, old_numerator, vmulq_f32(added, v)));
    StoreFirst(args.denominator + i, count, Fma(kept, old_denominator, added));
    StoreFirst(args.maximum + i, count, maximum);
    StoreFirst(args.y + i, count, vdivq_f32(numerator, denominator));
  });
}

}  // namespace bramble::kernels::arm
