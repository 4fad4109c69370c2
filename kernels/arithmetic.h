// Element-wise arithmetic: one rounding for each sign of arithmetic.
#pragma once

#include <cstddef>

#include "kernels/table.h"

namespace bramble::kernels {

// y[i] = a[i] op b[i] for 0 <= i < n. Any alignment; y may be a or b. Pure: any thread.
using BinaryFn = void (*)(const float* a, const float* b, std::size_t n, float* y);

// y[i] = f(a[i], scalar) for 0 <= i < n. Any alignment; y may be a. Pure: any thread.
using ScalarFn = void (*)(const float* a, float scalar, std::size_t n, float* y);

Rows<BinaryFn> AddRows();
Rows<BinaryFn> MultiplyRows();
// b[i] where it is larger, else a[i]
Rows<BinaryFn> MaximumRows();

// a * scalar
Rows<ScalarFn> ScaleRows();
// y[i] = fma(scalar, a[i], y[i]); y may not be a.
Rows<ScalarFn> AddScaledRows();
// scalar * tanh(a / scalar)
Rows<ScalarFn> SoftCapRows();
// within [-scalar, scalar], scalar >= 0
Rows<ScalarFn> ClampRows();

}  // namespace bramble::kernels
