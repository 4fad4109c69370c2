// Integers of 2 to 8 bits with an f32 scale and an integer zero for each block: what GPTQ, AWQ,
// EXL2, compressed-tensors, LLM.int8 and others keep, in blocks of our own.
#pragma once

#include "kernels/encodings/bits.h"
#include "kernels/encodings/group.h"
#include "kernels/encodings/legacy.h"

namespace bramble::kernels {

// Bits [2 k, 2 k + 2) of byte i < 8 belong to value 8 k + i.
inline std::uint32_t TwoBits(const std::byte* twos, std::size_t value) {
  return Byte(twos + value % 8) >> (2 * (value / 8)) & 3U;
}

// d f32, z i16, then the values: d * (value - z). Of kBits 2: 8 bytes of two bits; 3: u32 of third
// bits, bit i of value i, and 8 bytes of two bits; 4: 16 bytes of nibbles for each 32 values, as
// Q4_0's; 5: u32 of fifth bits, nibbles; 6: 8 bytes of two upper bits, nibbles; 8: signed bytes.
template <std::size_t kBits, std::size_t kValues>
struct FormatInt {
  static_assert(kValues == kGroupValues || kBits == 4);
  static constexpr std::size_t kBlockValues = kValues;
  static constexpr std::size_t kBlockBytes = 6 + kValues * kBits / 8;
  static constexpr Terms kTerms = Terms::kZero;

  static void Unpack(const std::byte* block, std::size_t group, Group* out) {
    out->scale[0] = std::bit_cast<float>(Load32(block));
    out->zero = static_cast<std::int16_t>(Load16(block + 4));
    const std::byte* codes = block + 6;
    if constexpr (kBits == 8) std::memcpy(out->w, codes, kGroupValues);
    if constexpr (kBits == 4) UnpackNibbles(codes + 16 * group, 0, out->w);
    if constexpr (kBits == 5) UnpackFiveBits(codes + 4, Load32(codes), 0, out->w);
    if constexpr (kBits == 6) {
      UnpackNibbles(codes + 8, 0, out->w);
      for (std::size_t i = 0; i < kGroupValues; ++i) {
        out->w[i] = static_cast<std::int8_t>(out->w[i] + (TwoBits(codes, i) << 4U));
      }
    }
    if constexpr (kBits <= 3) {
      for (std::size_t i = 0; i < kGroupValues; ++i) {
        std::uint32_t w = TwoBits(codes + (kBits == 3 ? 4 : 0), i);
        if constexpr (kBits == 3) w |= (Load32(codes) >> i & 1U) << 2U;
        out->w[i] = static_cast<std::int8_t>(w);
      }
    }
  }
};

}  // namespace bramble::kernels
