#include "kernels/sequence.h"

#include "kernels/math.h"
#include "kernels/portable/kernels.h"
#include "kernels/portable/lanes.h"

namespace bramble::kernels::portable {
namespace {

// One column's state and what is read from it. `factor(s)` is what the state shrinks by.
template <typename Factor>
float Advance(const StateSpaceArgs& args, float u, float* state, const Factor& factor) {
  float lanes[kLanes] = {};
  for (std::size_t s = 0; s < args.state_size; ++s) {
    state[s] = Fma(factor(s), state[s], u * args.b[s]);
    lanes[s % kLanes] = Fma(state[s], args.c[s], lanes[s % kLanes]);
  }
  return FoldLanes(lanes);
}

}  // namespace

void Convolution(const ConvolutionArgs& args) {
  for (std::size_t i = 0; i < args.n; ++i) {
    float sum = 0;
    for (std::size_t j = 0; j < args.taps; ++j) {
      sum = Fma(args.weights[j * args.weight_stride + i], args.rows[j][i], sum);
    }
    args.y[i] = args.bias == nullptr ? sum : sum + args.bias[i];
  }
}

void SelectiveScan(const StateSpaceArgs& args) {
  for (std::size_t i = 0; i < args.n; ++i) {
    const float step = args.step[i];
    const float* decay = args.decay + i * args.state_size;
    const float read = Advance(args, step * args.x[i], args.state + i * args.state_size,
                               [&](std::size_t s) { return Exp(step * decay[s]); });
    args.y[i] = Fma(args.skip[i], args.x[i], read);
  }
}

void StateSpaceDual(const StateSpaceArgs& args) {
  const float step = *args.step;
  const float factor = Exp(step * *args.decay);
  for (std::size_t i = 0; i < args.n; ++i) {
    const float read = Advance(args, step * args.x[i], args.state + i * args.state_size,
                               [&](std::size_t) { return factor; });
    args.y[i] = Fma(*args.skip, args.x[i], read);
  }
}

void Wkv(const WkvArgs& args) {
  for (std::size_t i = 0; i < args.n; ++i) {
    const float k = args.k[i];
    const float v = args.v[i];
    const float before = args.maximum[i];
    const float own = k + args.first[i];
    const float largest = before > own ? before : own;
    const float old_weight = Exp(before - largest);
    const float own_weight = Exp(own - largest);
    const float numerator = Fma(old_weight, args.numerator[i], own_weight * v);
    const float denominator = Fma(old_weight, args.denominator[i], own_weight);
    const float decayed = before + args.decay[i];
    const float maximum = decayed > k ? decayed : k;
    const float kept = Exp(decayed - maximum);
    const float added = Exp(k - maximum);
    args.numerator[i] = Fma(kept, args.numerator[i], added * v);
    args.denominator[i] = Fma(kept, args.denominator[i], added);
    args.maximum[i] = maximum;
    args.y[i] = numerator / denominator;
  }
}

}  // namespace bramble::kernels::portable
