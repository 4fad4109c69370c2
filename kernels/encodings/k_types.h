// Super-blocks of 256 values with integer scales: Q2_K, Q3_K, Q4_K, Q5_K, Q6_K.
#pragma once

#include "kernels/encodings/bits.h"
#include "kernels/encodings/group.h"

namespace bramble::kernels {

inline constexpr std::size_t kSuperValues = 256;

// The 6-bit scale and minimum of group j < 8 from the 12 bytes that Q4_K and Q5_K share.
inline std::uint32_t SixBitScale(const std::byte* scales, std::size_t j) {
  if (j < 4) return Byte(scales + j) & 63U;
  return (Byte(scales + j + 4) & 15U) | (Byte(scales + j - 4) >> 6U) << 4U;
}
inline std::uint32_t SixBitMinimum(const std::byte* scales, std::size_t j) {
  if (j < 4) return Byte(scales + j + 4) & 63U;
  return Byte(scales + j + 4) >> 4U | (Byte(scales + j) >> 6U) << 4U;
}

// The 6-bit scale of 16 values, sixteen < 16, from the 12 bytes of Q3_K; 32 stands for 0.
inline std::int32_t Q3Scale(const std::byte* scales, std::size_t sixteen) {
  const std::uint32_t low =
      sixteen < 8 ? Byte(scales + sixteen) & 15U : Byte(scales + sixteen - 8) >> 4U;
  const std::uint32_t high = Byte(scales + 8 + sixteen % 4) >> (2 * (sixteen / 4)) & 3U;
  return static_cast<std::int32_t>(low | high << 4U) - 32;
}

// 16 bytes (scale in the low, minimum in the high nibble) for 16 values each; 64 bytes of 2-bit
// values; d, dmin f16. Group g takes bits 2 * (g % 4) of bytes 32 * (g / 4) + i.
struct FormatQ2K {
  static constexpr std::size_t kBlockValues = kSuperValues;
  static constexpr std::size_t kBlockBytes = 84;
  static constexpr Terms kTerms = Terms::kTwoMinima;
  static void Unpack(const std::byte* block, std::size_t g, Group* out) {
    out->scale[0] = HalfAt(block + 80);
    const float negative_minimum = -HalfAt(block + 82);
    for (std::size_t half = 0; half < 2; ++half) {
      const std::uint32_t both = Byte(block + 2 * g + half);
      out->multiplier[half] = static_cast<std::int32_t>(both & 15U);
      out->minimum[half] = negative_minimum * static_cast<float>(both >> 4U);
    }
    const std::byte* quants = block + 16 + 32 * (g / 4);
    for (std::size_t i = 0; i < kGroupValues; ++i) {
      out->w[i] = static_cast<std::int8_t>(Byte(quants + i) >> (2 * (g % 4)) & 3U);
    }
  }
};

// 32 bytes of high bits (clear: minus 4); 64 bytes of 2-bit values, as Q2_K; 12 bytes of scales; d
// f16.
struct FormatQ3K {
  static constexpr std::size_t kBlockValues = kSuperValues;
  static constexpr std::size_t kBlockBytes = 110;
  static constexpr Terms kTerms = Terms::kScale;
  static void Unpack(const std::byte* block, std::size_t g, Group* out) {
    out->scale[0] = HalfAt(block + 108);
    out->multiplier[0] = Q3Scale(block + 96, 2 * g);
    out->multiplier[1] = Q3Scale(block + 96, 2 * g + 1);
    const std::byte* quants = block + 32 + 32 * (g / 4);
    for (std::size_t i = 0; i < kGroupValues; ++i) {
      const std::uint32_t low = Byte(quants + i) >> (2 * (g % 4)) & 3U;
      const std::uint32_t high = Byte(block + i) >> g & 1U;
      out->w[i] = static_cast<std::int8_t>(static_cast<int>(low | high << 2U) - 4);
    }
  }
};

// Four bits of group g from 128 bytes in which a pair of groups shares 32 bytes: low nibbles, then
// high nibbles.
inline std::uint32_t PairedNibble(const std::byte* nibbles, std::size_t g, std::size_t i) {
  return Byte(nibbles + 32 * (g / 2) + i) >> (4 * (g % 2)) & 15U;
}

inline void SetScaleAndMinimum(const std::byte* block, std::size_t g, Group* out) {
  out->scale[0] = HalfAt(block);
  const auto multiplier = static_cast<std::int32_t>(SixBitScale(block + 4, g));
  out->multiplier[0] = multiplier;
  out->multiplier[1] = multiplier;
  out->minimum[0] = -HalfAt(block + 2) * static_cast<float>(SixBitMinimum(block + 4, g));
}

// d, dmin f16; 12 bytes of 6-bit scales and minima; 128 bytes of nibbles.
struct FormatQ4K {
  static constexpr std::size_t kBlockValues = kSuperValues;
  static constexpr std::size_t kBlockBytes = 144;
  static constexpr Terms kTerms = Terms::kScaleMinimum;
  static void Unpack(const std::byte* block, std::size_t g, Group* out) {
    SetScaleAndMinimum(block, g, out);
    for (std::size_t i = 0; i < kGroupValues; ++i) {
      out->w[i] = static_cast<std::int8_t>(PairedNibble(block + 16, g, i));
    }
  }
};

// As Q4_K, with 32 bytes of fifth bits (bit g of byte i) before the nibbles.
struct FormatQ5K {
  static constexpr std::size_t kBlockValues = kSuperValues;
  static constexpr std::size_t kBlockBytes = 176;
  static constexpr Terms kTerms = Terms::kScaleMinimum;
  static void Unpack(const std::byte* block, std::size_t g, Group* out) {
    SetScaleAndMinimum(block, g, out);
    for (std::size_t i = 0; i < kGroupValues; ++i) {
      const std::uint32_t high = Byte(block + 16 + i) >> g & 1U;
      out->w[i] = static_cast<std::int8_t>(PairedNibble(block + 48, g, i) | high << 4U);
    }
  }
};

// 128 bytes of low nibbles, 64 bytes of two high bits, 16 signed scales of 16 values, d f16: d *
// scale * (6 bits - 32).
struct FormatQ6K {
  static constexpr std::size_t kBlockValues = kSuperValues;
  static constexpr std::size_t kBlockBytes = 210;
  static constexpr Terms kTerms = Terms::kScale;
  static void Unpack(const std::byte* block, std::size_t g, Group* out) {
    out->scale[0] = HalfAt(block + 208);
    for (std::size_t half = 0; half < 2; ++half) {
      const auto scale = static_cast<std::int32_t>(Byte(block + 192 + 2 * g + half));
      out->multiplier[half] = (scale ^ 128) - 128;  // a signed byte
    }
    // Four groups (128 values) share 64 bytes of nibbles and 32 bytes of high bits.
    const std::byte* low = block + 64 * (g / 4) + 32 * (g % 2);
    const std::byte* high = block + 128 + 32 * (g / 4);
    const std::size_t quarter = g % 4;
    for (std::size_t i = 0; i < kGroupValues; ++i) {
      const std::uint32_t nibble = Byte(low + i) >> (4 * (quarter / 2)) & 15U;
      const std::uint32_t two = Byte(high + i) >> (2 * quarter) & 3U;
      out->w[i] = static_cast<std::int8_t>(static_cast<int>(nibble | two << 4U) - 32);
    }
  }
};

}  // namespace bramble::kernels
