// The two codebooks of bitsandbytes (functional.py, MIT licence).
#pragma once

namespace bramble::kernels {

// "4-bit NormalFloat": the means of neighbouring 1/16 quantiles of a normal distribution, zero
// among them, scaled to [-1, 1] (https://arxiv.org/abs/2305.14314).
extern const float nf4_values[16];
// A sign, two bits of exponent, one of mantissa: 0, 1/16, 8, 12, 4, 6, 2, 3, and their negatives,
// over 12.
extern const float fp4_values[16];

}  // namespace bramble::kernels
