// Functions applied element by element, and gates. Exact definitions: docs/arithmetic.md.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/table.h"

namespace bramble::kernels {

// The numbers are those of bramble.v1.Function.
enum class Function : std::uint8_t {
  kRelu = 1,
  kReluSquared = 2,
  kRelu6 = 3,
  kGeluTanh = 4,
  kGeluErf = 5,
  kGeluQuick = 6,
  kSilu = 7,
  kTanh = 8,
  kSigmoid = 9,
  kSoftplus = 10,
};

inline constexpr Function kFunctions[] = {
    Function::kRelu,    Function::kReluSquared, Function::kRelu6, Function::kGeluTanh,
    Function::kGeluErf, Function::kGeluQuick,   Function::kSilu,  Function::kTanh,
    Function::kSigmoid, Function::kSoftplus,
};

// y[i] = function(x[i]) for 0 <= i < n. Any alignment; y may be x. Pure: any thread.
using ActivationFn = void (*)(const float* x, std::size_t n, float* y);

// y[i] = function(a[i]) * (b[i] + offset) for 0 <= i < n; nothing is added if offset is 0. If limit
// is not 0, a[i] is at most `limit` and b[i] within [-limit, limit] before anything else. Any
// alignment; y may be a or b. Pure: any thread.
using GateFn = void (*)(const float* a, const float* b, float limit, float offset, std::size_t n,
                        float* y);

// Empty if there is no such function (an unknown number may be cast and asked for).
Rows<ActivationFn> ActivationRows(Function function);
Rows<GateFn> GateRows(Function function);

}  // namespace bramble::kernels
