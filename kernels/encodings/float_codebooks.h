// The two codebooks of bitsandbytes (functional.py, MIT licence).
#pragma once

#include <cstdint>

namespace bramble::kernels {

// "4-bit NormalFloat": the means of neighbouring 1/16 quantiles of a normal distribution, zero
// among them, scaled to [-1, 1] (https://arxiv.org/abs/2305.14314).
extern const float nf4_values[16];
// A sign, two bits of exponent, one of mantissa: 0, 1/16, 8, 12, 4, 6, 2, 3, and their negatives,
// over 12.
extern const float fp4_values[16];

// The same in whole numbers of 14 bits, for products with 8-bit inputs: of FP4 exactly, of NF4 to
// the nearest, which is within 2^-14. `...One` stands for 1.
inline constexpr std::int16_t kNf4Wholes[16] = {-8191, -5703, -4301, -3235, -2330, -1513,
                                                -746,  0,     652,   1318,  2016,  2768,
                                                3610,  4608,  5922,  8191};
inline constexpr std::int32_t kNf4One = 8191;
inline constexpr std::int16_t kFp4Wholes[16] = {0, 42,  5376,  8064,  2688,  4032,  1344,  2016,
                                                0, -42, -5376, -8064, -2688, -4032, -1344, -2016};
inline constexpr std::int32_t kFp4One = 8064;

}  // namespace bramble::kernels
