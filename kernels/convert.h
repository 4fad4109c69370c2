// Conversions between float formats, and a look for what is not finite.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/table.h"

namespace bramble::kernels {

// Exact.
float HalfToFloat(std::uint16_t half);
float Bf16ToFloat(std::uint16_t bf16);

// To the nearest, ties to even; subnormal results are kept; too large: infinity. A NaN stays one.
std::uint16_t FloatToHalf(float value);

// FloatToHalf of each. Any alignment. Pure: any thread.
using FloatsToHalvesFn = void (*)(const float* x, std::size_t n, std::uint16_t* y);
Rows<FloatsToHalvesFn> FloatsToHalvesRows();

// True if no x[i] is infinite or not a number. Pure: any thread.
bool AllFinite(const float* x, std::size_t n);

}  // namespace bramble::kernels
