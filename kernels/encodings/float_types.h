// Blocks of small floats with an f32 scale: bitsandbytes' codebooks and E4M3. Their values are no
// whole numbers of a common step that fit into 8 bits. For products with 8-bit inputs the
// codebooks' are taken as whole numbers of 14 bits; E4M3 takes f32 inputs only.
#pragma once

#include "kernels/encodings/bits.h"
#include "kernels/encodings/float_codebooks.h"
#include "kernels/encodings/group.h"

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

// How such a block is multiplied with 8-bit inputs; its values are DecodeCodebook's.
template <const std::int16_t (&kWholes)[16], std::int32_t kOne>
struct FormatCodebook {
  static constexpr std::size_t kBlockValues = kCodebookBlockValues;
  static constexpr std::size_t kBlockBytes = kCodebookBlockBytes;
  static constexpr Terms kTerms = Terms::kPlanes;

  static void Unpack(const std::byte* block, std::size_t group, Group* out) {
    out->scale[0] = std::bit_cast<float>(Load32(block)) * (1.0F / kOne);
    const std::byte* bytes = block + 4 + group * kGroupValues / 2;
    for (std::size_t i = 0; i < kGroupValues; ++i) {
      const int whole = kWholes[Byte(bytes + i / 2) >> (i % 2 * 4) & 15U];
      out->w[i] = static_cast<std::int8_t>(whole >> 7);
      out->low[i] = static_cast<std::int8_t>(whole & 127);
    }
  }
};
using FormatNf4 = FormatCodebook<kNf4Wholes, kNf4One>;
using FormatFp4 = FormatCodebook<kFp4Wholes, kFp4One>;

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
