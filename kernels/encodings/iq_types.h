// Encodings whose values come from codebooks: IQ4_NL, IQ4_XS, IQ2_*, IQ3_*, IQ1_*.
//
// Scales of the form d * (0.5 + s) / 4 are written as (d / 8) * (2 s + 1), which is the same
// number: the integer product then has integer multipliers.
#pragma once

#include <bit>

#include "kernels/encodings/bits.h"
#include "kernels/encodings/codebooks.h"
#include "kernels/encodings/group.h"
#include "kernels/encodings/k_types.h"
#include "kernels/encodings/legacy.h"

namespace bramble::kernels {

// 16 bytes: value i < 16 is table[low nibble of byte i], value i + 16 its high nibble's.
inline void LookUpNibbles(const std::byte* nibbles, const std::int8_t* table, std::int8_t* w) {
  for (std::size_t i = 0; i < kHalfGroup; ++i) {
    w[i] = table[Byte(nibbles + i) & 15U];
    w[i + kHalfGroup] = table[Byte(nibbles + i) >> 4U];
  }
}

// Eight values of a codebook entry; bit i of `signs` makes value i negative.
inline void LookUpEight(std::uint32_t entry, const std::int8_t* values, std::uint32_t signs,
                        std::int8_t* w) {
  for (std::size_t i = 0; i < 8; ++i) {
    const std::int8_t value = values[entry >> (2 * i) & 3U];
    w[i] = static_cast<std::int8_t>((signs >> i & 1U) != 0 ? -value : value);
  }
}

// Four values of an entry of an IQ3 codebook.
inline void LookUpFour(std::uint32_t entry, const std::int8_t* values, std::uint32_t signs,
                       std::int8_t* w) {
  for (std::size_t i = 0; i < 4; ++i) {
    const std::int8_t value = values[entry >> (4 * i) & 7U];
    w[i] = static_cast<std::int8_t>((signs >> i & 1U) != 0 ? -value : value);
  }
}

// Seven stored signs; the eighth makes the number of minus signs even.
inline std::uint32_t EvenSigns(std::uint32_t seven) {
  return seven | (static_cast<std::uint32_t>(std::popcount(seven)) & 1U) << 7U;
}

inline void SetMultipliers(std::uint32_t first, std::uint32_t second, Group* out) {
  out->multiplier[0] = static_cast<std::int32_t>(2 * first + 1);
  out->multiplier[1] = static_cast<std::int32_t>(2 * second + 1);
}

// d f16, 16 bytes of nibbles.
struct FormatIq4Nl {
  static constexpr std::size_t kBlockValues = 32;
  static constexpr std::size_t kBlockBytes = 18;
  static constexpr Terms kTerms = Terms::kScale;
  static void Unpack(const std::byte* block, std::size_t /*group*/, Group* out) {
    SetScale(HalfAt(block), out);
    LookUpNibbles(block + 2, kIq4Values, out->w);
  }
};

// d f16, two high bits of 8 scales (u16), 4 bytes of their low nibbles, 128 bytes of nibbles; a
// scale is 6 bits - 32.
struct FormatIq4Xs {
  static constexpr std::size_t kBlockValues = kSuperValues;
  static constexpr std::size_t kBlockBytes = 136;
  static constexpr Terms kTerms = Terms::kScale;
  static void Unpack(const std::byte* block, std::size_t g, Group* out) {
    const std::uint32_t low = Byte(block + 4 + g / 2) >> (4 * (g % 2)) & 15U;
    const std::uint32_t high = static_cast<std::uint32_t>(Load16(block + 2)) >> (2 * g) & 3U;
    SetScale(HalfAt(block), out);
    out->multiplier[0] = static_cast<std::int32_t>(low | high << 4U) - 32;
    out->multiplier[1] = out->multiplier[0];
    LookUpNibbles(block + 8 + 16 * g, kIq4Values, out->w);
  }
};

// d f16; for each group four index bytes, then 28 bits of signs and a 4-bit scale.
struct FormatIq2Xxs {
  static constexpr std::size_t kBlockValues = kSuperValues;
  static constexpr std::size_t kBlockBytes = 66;
  static constexpr Terms kTerms = Terms::kScale;
  static void Unpack(const std::byte* block, std::size_t g, Group* out) {
    const std::byte* indices = block + 2 + 8 * g;
    const std::uint32_t rest = Load32(indices + 4);
    out->scale[0] = HalfAt(block) * 0.125F;
    SetMultipliers(rest >> 28U, rest >> 28U, out);
    for (std::size_t e = 0; e < 4; ++e) {
      LookUpEight(iq2_xxs_entries[Byte(indices + e)], kIq2Values, EvenSigns(rest >> (7 * e) & 127U),
                  out->w + 8 * e);
    }
  }
};

// d f16; 32 u16 (9 bits of index, 7 of signs); 8 bytes of two 4-bit scales.
struct FormatIq2Xs {
  static constexpr std::size_t kBlockValues = kSuperValues;
  static constexpr std::size_t kBlockBytes = 74;
  static constexpr Terms kTerms = Terms::kScale;
  static void Unpack(const std::byte* block, std::size_t g, Group* out) {
    const std::uint32_t scales = Byte(block + 66 + g);
    out->scale[0] = HalfAt(block) * 0.125F;
    SetMultipliers(scales & 15U, scales >> 4U, out);
    for (std::size_t e = 0; e < 4; ++e) {
      const std::uint32_t both = Load16(block + 2 + 8 * g + 2 * e);
      LookUpEight(iq2_xs_entries[both & 511U], kIq2Values, EvenSigns(both >> 9U), out->w + 8 * e);
    }
  }
};

// d f16; 32 index bytes; 32 sign bytes; 8 bytes of two high index bits; 8 bytes of two 4-bit
// scales.
struct FormatIq2S {
  static constexpr std::size_t kBlockValues = kSuperValues;
  static constexpr std::size_t kBlockBytes = 82;
  static constexpr Terms kTerms = Terms::kScale;
  static void Unpack(const std::byte* block, std::size_t g, Group* out) {
    const std::uint32_t scales = Byte(block + 74 + g);
    out->scale[0] = HalfAt(block) * 0.125F;
    SetMultipliers(scales & 15U, scales >> 4U, out);
    for (std::size_t e = 0; e < 4; ++e) {
      const std::uint32_t high = Byte(block + 66 + g) >> (2 * e) & 3U;
      LookUpEight(iq2_s_entries[Byte(block + 2 + 4 * g + e) | high << 8U], kIq2Values,
                  Byte(block + 34 + 4 * g + e), out->w + 8 * e);
    }
  }
};

// d f16; 64 index bytes of four values; for each group 28 bits of signs and a 4-bit scale.
struct FormatIq3Xxs {
  static constexpr std::size_t kBlockValues = kSuperValues;
  static constexpr std::size_t kBlockBytes = 98;
  static constexpr Terms kTerms = Terms::kScale;
  static void Unpack(const std::byte* block, std::size_t g, Group* out) {
    const std::uint32_t rest = Load32(block + 66 + 4 * g);
    out->scale[0] = HalfAt(block) * 0.25F;
    SetMultipliers(rest >> 28U, rest >> 28U, out);
    for (std::size_t e = 0; e < 8; ++e) {
      const std::uint32_t signs = EvenSigns(rest >> (7 * (e / 2)) & 127U) >> (4 * (e % 2));
      LookUpFour(iq3_xxs_entries[Byte(block + 2 + 8 * g + e)], kIq3XxsValues, signs,
                 out->w + 4 * e);
    }
  }
};

// d f16; 64 index bytes; 8 bytes of ninth index bits; 32 sign bytes; 4 bytes of two 4-bit scales of
// a group.
struct FormatIq3S {
  static constexpr std::size_t kBlockValues = kSuperValues;
  static constexpr std::size_t kBlockBytes = 110;
  static constexpr Terms kTerms = Terms::kScale;
  static void Unpack(const std::byte* block, std::size_t g, Group* out) {
    const std::uint32_t scale = Byte(block + 106 + g / 2) >> (4 * (g % 2)) & 15U;
    out->scale[0] = HalfAt(block);
    SetMultipliers(scale, scale, out);
    for (std::size_t e = 0; e < 8; ++e) {
      const std::uint32_t high = Byte(block + 66 + g) >> e & 1U;
      const std::uint32_t signs = Byte(block + 74 + 4 * g + e / 2) >> (4 * (e % 2));
      LookUpFour(iq3_s_entries[Byte(block + 2 + 8 * g + e) | high << 8U], kIq3SValues, signs,
                 out->w + 4 * e);
    }
  }
};

// Eight values of -1, 0 or 1, each plus or minus an eighth, in eighths.
inline void LookUpEighths(std::uint32_t entry, bool minus, std::int8_t* w) {
  for (std::size_t i = 0; i < 8; ++i) {
    w[i] = static_cast<std::int8_t>(8 * kIq1Values[entry >> (2 * i) & 3U] + (minus ? -1 : 1));
  }
}

// d f16; 32 index bytes; 8 u16: four times three high index bits, a 3-bit scale, the sign of the
// eighth.
struct FormatIq1S {
  static constexpr std::size_t kBlockValues = kSuperValues;
  static constexpr std::size_t kBlockBytes = 50;
  static constexpr Terms kTerms = Terms::kScale;
  static void Unpack(const std::byte* block, std::size_t g, Group* out) {
    const std::uint32_t high = Load16(block + 34 + 2 * g);
    out->scale[0] = HalfAt(block) * 0.125F;
    SetMultipliers(high >> 12U & 7U, high >> 12U & 7U, out);
    for (std::size_t e = 0; e < 4; ++e) {
      const std::uint32_t index = Byte(block + 2 + 4 * g + e) | (high >> (3 * e) & 7U) << 8U;
      LookUpEighths(iq1_entries[index], (high & 0x8000U) != 0, out->w + 8 * e);
    }
  }
};

// 32 index bytes; 16 bytes of nibbles (three high index bits, the sign of the eighth); 4 u16 of
// 3-bit scales of 16 values, whose top four bits together are d f16.
struct FormatIq1M {
  static constexpr std::size_t kBlockValues = kSuperValues;
  static constexpr std::size_t kBlockBytes = 56;
  static constexpr Terms kTerms = Terms::kScale;
  static void Unpack(const std::byte* block, std::size_t g, Group* out) {
    const std::byte* scales = block + 48;
    std::uint32_t d = 0;
    for (std::size_t i = 0; i < 4; ++i) {
      d |= static_cast<std::uint32_t>(Load16(scales + 2 * i)) >> 12U << (4 * i);
    }
    out->scale[0] = WidenHalf(static_cast<std::uint16_t>(d)) * 0.125F;
    const std::uint32_t pair =
        static_cast<std::uint32_t>(Load16(scales + 2 * (g / 2))) >> (6 * (g % 2));
    SetMultipliers(pair & 7U, pair >> 3U & 7U, out);
    for (std::size_t e = 0; e < 4; ++e) {
      const std::uint32_t nibble = Byte(block + 32 + 2 * g + e / 2) >> (4 * (e % 2)) & 15U;
      const std::uint32_t index = Byte(block + 4 * g + e) | (nibble & 7U) << 8U;
      LookUpEighths(iq1_entries[index], (nibble & 8U) != 0, out->w + 8 * e);
    }
  }
};

}  // namespace bramble::kernels
