// Blocks of small floats with an f32 scale: bitsandbytes' codebooks and E4M3. Their values are no
// whole numbers of a common step that fit into 8 bits, so products take f32 inputs.
#pragma once

#include "kernels/encodings/bits.h"
#include "kernels/encodings/float_codebooks.h"

namespace bramble::kernels {

// d f32, 32 bytes: byte i holds values 2 i (low nibble) and 2 i + 1; d * codebook[nibble].
inline constexpr std::size_t kCodebookBlockValues = 64;
inline constexpr std::size_t kCodebookBlockBytes = 36;

inline void DecodeCodebook(const float* codebook, const std::byte* blocks, std::size_t count,
                           float* out) {
  for (std::size_t b = 0; b < count; ++b, blocks += kCodebookBlockBytes) {
    const float scale = std::bit_cast<float>(Load32(blocks));
    for (std::size_t i = 0; i < kCodebookBlockValues / 2; ++i) {
      const std::uint32_t byte = Byte(blocks + 4 + i);
      *out++ = scale * codebook[byte & 15U];
      *out++ = scale * codebook[byte >> 4U];
    }
  }
}

// Exact. The exponent is moved by a multiplication with 2^120, which also normalizes subnormal
// numbers. 0x7f and 0xff are no numbers (E4M3FN has no infinities).
inline float WidenE4M3(std::uint32_t code) {
  const std::uint32_t magnitude = code & 0x7fU;
  const std::uint32_t sign = (code & 0x80U) << 24U;
  float value = std::bit_cast<float>(magnitude << 20U) * 0x1p120F;
  if (magnitude == 0x7fU) value = std::bit_cast<float>(0x7fc00000U);
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(value) | sign);
}

// d f32, 32 bytes of E4M3: d * value.
inline constexpr std::size_t kF8BlockValues = 32;
inline constexpr std::size_t kF8BlockBytes = 36;

inline void DecodeF8(const std::byte* blocks, std::size_t count, float* out) {
  for (std::size_t b = 0; b < count; ++b, blocks += kF8BlockBytes) {
    const float scale = std::bit_cast<float>(Load32(blocks));
    for (std::size_t i = 0; i < kF8BlockValues; ++i) {
      *out++ = scale * WidenE4M3(Byte(blocks + 4 + i));
    }
  }
}

}  // namespace bramble::kernels
