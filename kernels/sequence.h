// Operations along a sequence: each takes one row of it and the state that the rows before have
// left. Exact definitions: docs/arithmetic.md, 12.
#pragma once

#include <cstddef>

#include "kernels/table.h"

namespace bramble::kernels {

// A row of a causal convolution, each column by itself: y[i] = bias[i] + the sum over tap j,
// rising, of weights[j * weight_stride + i] * rows[j][i]. All point at the first of `n` columns, of
// any alignment; rows[taps - 1] is the row itself, rows[0] the oldest.
struct ConvolutionArgs {
  const float* const* rows;  // [taps]
  std::size_t taps;
  const float* weights;
  std::size_t weight_stride;
  const float* bias;  // or null
  std::size_t n;
  float* y;  // none of the rows
};

// Pure: any thread.
using ConvolutionFn = void (*)(const ConvolutionArgs& args);
Rows<ConvolutionFn> ConvolutionRows();

// A row of a state space, `n` columns that share b and c, each with `state_size` numbers of state.
// Of column i, with u = step * x[i]: state[s] = factor * state[s] + u * b[s]; y[i] = the sum of
// state[s] * c[s], and skip * x[i].
struct StateSpaceArgs {
  const float* x;      // [n]
  const float* step;   // [n]; dual: one
  const float* decay;  // [n, state_size]; dual: one
  const float* skip;   // [n]; dual: one
  const float* b;      // [state_size]
  const float* c;      // [state_size]
  std::size_t n;
  std::size_t state_size;
  float* state;  // [n, state_size]
  float* y;      // [n]; not the state; may be x
};

// Pure but for state and y: any thread.
using StateSpaceFn = void (*)(const StateSpaceArgs& args);

// factor = exp(step[i] * decay[i][s])
Rows<StateSpaceFn> SelectiveScanRows();
// factor = exp(step * decay), the same for all columns (a head's) and all of the state
Rows<StateSpaceFn> StateSpaceDualRows();

// A row of the weighted average of all values so far, with weights exp(k) that decay, `n` columns
// each by itself. `numerator`, `denominator` and `maximum` are the state.
struct WkvArgs {
  const float* k;
  const float* v;
  const float* decay;  // is added to the exponents at every further row
  const float* first;  // is added to the exponent of the row itself
  std::size_t n;
  float* numerator;
  float* denominator;
  float* maximum;
  float* y;  // not the state; may be k or v
};

// Where a sequence begins.
inline constexpr float kWkvFirstMaximum = -1e38F;

// Pure but for the state and y: any thread.
using WkvFn = void (*)(const WkvArgs& args);
Rows<WkvFn> WkvRows();

}  // namespace bramble::kernels
