// Rotary position embedding.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/table.h"

namespace bramble::kernels {

// cosines[i] = float(cos(a)) * magnitude, sines[i] = float(sin(a)) * magnitude, with a = position *
// frequencies[i] exact in double, for 0 <= i < pairs. Multiplied only if magnitude is not 1. Where
// several position numbers turn one head (sections), call it for each section with pointers into
// the middle. frequencies: finite, |position * frequency| < 2^31 radians. Pure: any thread.
void RopeAngles(std::uint32_t position, const float* frequencies, std::size_t pairs,
                float magnitude, float* cosines, float* sines);

// Turns the first 2 * pairs numbers of each of `heads` heads of head_dim numbers; the others are
// copied. (a, b) becomes (fma(a, c, -(b * s)), fma(a, s, b * c)). x, y: heads * head_dim floats,
// any alignment; y may be x (no other overlap). 2 * pairs <= head_dim. Pure: any thread.
using RopeFn = void (*)(const float* x, const float* cosines, const float* sines, std::size_t pairs,
                        std::size_t heads, std::size_t head_dim, float* y);

// Pair i is the numbers i and i + pairs.
Rows<RopeFn> RopeHalfRows();

// Pair i is the numbers 2i and 2i + 1.
Rows<RopeFn> RopePairRows();

}  // namespace bramble::kernels
