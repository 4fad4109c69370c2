// Codebooks of the IQ encodings: each entry holds 8 values of 2 bits, or 4 values of 4 bits, lowest
// bits first, which index the list of values beside it. codebooks.cc says where they come from.
#pragma once

#include <cstdint>

namespace bramble::kernels {

extern const std::uint16_t iq2_xxs_entries[256];
extern const std::uint16_t iq2_xs_entries[512];
extern const std::uint16_t iq2_s_entries[1024];
extern const std::uint16_t iq3_xxs_entries[256];
extern const std::uint16_t iq3_s_entries[512];
extern const std::uint16_t iq1_entries[2048];

inline constexpr std::int8_t kIq2Values[4] = {8, 25, 43, 0};
inline constexpr std::int8_t kIq3XxsValues[8] = {4, 12, 20, 28, 36, 44, 52, 62};
inline constexpr std::int8_t kIq3SValues[8] = {1, 3, 5, 7, 9, 11, 13, 15};
inline constexpr std::int8_t kIq1Values[4] = {-1, 0, 1, 0};
inline constexpr std::int8_t kIq4Values[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                               1,    13,   25,  38,  53,  69,  89,  113};
// Twice the values of E2M1 (FP4).
inline constexpr std::int8_t kFp4Values[16] = {0, 1,  2,  3,  4,  6,  8,  12,
                                               0, -1, -2, -3, -4, -6, -8, -12};

}  // namespace bramble::kernels
