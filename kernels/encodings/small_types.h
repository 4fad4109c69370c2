// Ternary weights (TQ1_0, TQ2_0) and four-bit floats (MXFP4, NVFP4).
#pragma once

#include "kernels/encodings/bits.h"
#include "kernels/encodings/codebooks.h"
#include "kernels/encodings/group.h"
#include "kernels/encodings/iq_types.h"
#include "kernels/encodings/k_types.h"

namespace bramble::kernels {

// Digit n of a byte that holds five base-3 digits as a fraction of 256, minus 1.
inline std::int8_t Trit(std::uint32_t byte, std::size_t n) {
  static constexpr std::uint32_t kPower[5] = {1, 3, 9, 27, 81};
  const std::uint32_t shifted = byte * kPower[n] & 255U;
  return static_cast<std::int8_t>(static_cast<int>(shifted * 3U >> 8U) - 1);
}

// 32 bytes with 5 digits each (digit n of byte m is value 32 n + m), 16 bytes with 5 (160 + 16 n +
// m), 4 bytes with 4 (240 + 4 n + m), d f16.
struct FormatTq10 {
  static constexpr std::size_t kBlockValues = kSuperValues;
  static constexpr std::size_t kBlockBytes = 54;
  static constexpr Terms kTerms = Terms::kScale;
  static std::int8_t At(const std::byte* block, std::size_t value) {
    if (value < 160) return Trit(Byte(block + value % 32), value / 32);
    if (value < 240) return Trit(Byte(block + 32 + value % 16), (value - 160) / 16);
    return Trit(Byte(block + 48 + value % 4), (value - 240) / 4);
  }
  static void Unpack(const std::byte* block, std::size_t g, Group* out) {
    SetScale(HalfAt(block + 52), out);
    for (std::size_t i = 0; i < kGroupValues; ++i) out->w[i] = At(block, 32 * g + i);
  }
};

// 64 bytes of 2-bit values laid out as Q2_K's, minus 1; d f16.
struct FormatTq20 {
  static constexpr std::size_t kBlockValues = kSuperValues;
  static constexpr std::size_t kBlockBytes = 66;
  static constexpr Terms kTerms = Terms::kScale;
  static void Unpack(const std::byte* block, std::size_t g, Group* out) {
    SetScale(HalfAt(block + 64), out);
    const std::byte* quants = block + 32 * (g / 4);
    for (std::size_t i = 0; i < kGroupValues; ++i) {
      const std::uint32_t bits = Byte(quants + i) >> (2 * (g % 4)) & 3U;
      out->w[i] = static_cast<std::int8_t>(static_cast<int>(bits) - 1);
    }
  }
};

// An exponent byte e: 2^(e - 128), since the table holds doubled values; 16 bytes of nibbles. e = 0
// and 1 give subnormals.
struct FormatMxfp4 {
  static constexpr std::size_t kBlockValues = 32;
  static constexpr std::size_t kBlockBytes = 17;
  static constexpr Terms kTerms = Terms::kScale;
  static void Unpack(const std::byte* block, std::size_t /*group*/, Group* out) {
    const std::uint32_t e = Byte(block);
    SetScale(std::bit_cast<float>(e < 2 ? 0x00200000U << e : (e - 1) << 23U), out);
    LookUpNibbles(block + 1, kFp4Values, out->w);
  }
};

// Four unsigned E4M3 scales (halved, since the table holds doubled values; 0x7f reads as 0) of 16
// values each; for each of them 8 bytes: low nibbles are its values 0..7, high nibbles 8..15.
struct FormatNvfp4 {
  static constexpr std::size_t kBlockValues = 64;
  static constexpr std::size_t kBlockBytes = 36;
  static constexpr Terms kTerms = Terms::kTwoScales;
  static float Scale(std::uint32_t code) {
    if (code == 0x7fU) return 0;
    const std::uint32_t exponent = code >> 3U & 15U;
    const auto mantissa = static_cast<float>(code & 7U);
    if (exponent == 0) return mantissa * 0x1p-10F;
    // 2^(exponent - 7) * (1 + mantissa / 8) / 2
    return std::bit_cast<float>((exponent + 119U) << 23U) * (1.0F + mantissa * 0.125F);
  }
  static void Unpack(const std::byte* block, std::size_t g, Group* out) {
    for (std::size_t half = 0; half < 2; ++half) {
      const std::size_t sixteen = 2 * g + half;
      out->scale[half] = Scale(Byte(block + sixteen));
      for (std::size_t i = 0; i < 8; ++i) {
        const std::uint32_t byte = Byte(block + 4 + 8 * sixteen + i);
        out->w[16 * half + i] = kFp4Values[byte & 15U];
        out->w[16 * half + 8 + i] = kFp4Values[byte >> 4U];
      }
    }
  }
};

}  // namespace bramble::kernels
