// Norms of one group of a row.
#pragma once

#include <cstddef>

#include "kernels/table.h"

namespace bramble::kernels {

// y[i] = normalized(x)[i] * gain[i] + bias[i] for 0 <= i < n; gain and bias may be null (then
// nothing is multiplied or added). x, gain, bias, y: n floats of any alignment; y may be x. n >= 1.
// Pure: any thread.
//
// Sums run in 16 lanes, element i in lane i % 16, by fma in rising i; lanes fold 16>8>4>2>1, upper
// half onto lower. A row of heads is normalized by one call for each head.
using NormFn = void (*)(const float* x, const float* gain, const float* bias, float epsilon,
                        std::size_t n, float* y);

// x * (1 / sqrt(mean(x^2) + epsilon))
Rows<NormFn> RmsNormRows();

// (x - mean) * (1 / sqrt(mean((x - mean)^2) + epsilon))
Rows<NormFn> LayerNormRows();

// x * (1 / max(sqrt(sum(x^2)), epsilon))
Rows<NormFn> L2NormRows();

}  // namespace bramble::kernels
