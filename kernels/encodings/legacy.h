// Blocks of 32 values: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0.
#pragma once

#include "kernels/encodings/bits.h"
#include "kernels/encodings/group.h"

namespace bramble::kernels {

// w[i] = low nibble of nibbles[i] + offset, w[i + 16] = its high nibble + offset, for i < 16.
inline void UnpackNibbles(const std::byte* nibbles, int offset, std::int8_t* w) {
  for (std::size_t i = 0; i < kHalfGroup; ++i) {
    const int byte = static_cast<int>(Byte(nibbles + i));
    w[i] = static_cast<std::int8_t>((byte & 15) + offset);
    w[i + kHalfGroup] = static_cast<std::int8_t>((byte >> 4) + offset);
  }
}

// The same with a fifth bit: bit i of high_bits belongs to value i.
inline void UnpackFiveBits(const std::byte* nibbles, std::uint32_t high_bits, int offset,
                           std::int8_t* w) {
  UnpackNibbles(nibbles, offset, w);
  for (std::size_t i = 0; i < kGroupValues; ++i) {
    w[i] = static_cast<std::int8_t>(w[i] + static_cast<int>((high_bits >> i & 1U) << 4U));
  }
}

inline void SetScale(float scale, Group* out) {
  out->scale[0] = scale;
  out->multiplier[0] = 1;
  out->multiplier[1] = 1;
}

// d f16, 16 bytes of nibbles: d * (nibble - 8).
struct FormatQ40 {
  static constexpr std::size_t kBlockValues = 32;
  static constexpr std::size_t kBlockBytes = 18;
  static constexpr Terms kTerms = Terms::kScale;
  static void Unpack(const std::byte* block, std::size_t /*group*/, Group* out) {
    SetScale(HalfAt(block), out);
    UnpackNibbles(block + 2, -8, out->w);
  }
};

// d f16, m f16, 16 bytes of nibbles: d * nibble + m.
struct FormatQ41 {
  static constexpr std::size_t kBlockValues = 32;
  static constexpr std::size_t kBlockBytes = 20;
  static constexpr Terms kTerms = Terms::kScaleMinimum;
  static void Unpack(const std::byte* block, std::size_t /*group*/, Group* out) {
    SetScale(HalfAt(block), out);
    out->minimum[0] = HalfAt(block + 2);
    UnpackNibbles(block + 4, 0, out->w);
  }
};

// d f16, 32 high bits, 16 bytes of nibbles: d * (5 bits - 16).
struct FormatQ50 {
  static constexpr std::size_t kBlockValues = 32;
  static constexpr std::size_t kBlockBytes = 22;
  static constexpr Terms kTerms = Terms::kScale;
  static void Unpack(const std::byte* block, std::size_t /*group*/, Group* out) {
    SetScale(HalfAt(block), out);
    UnpackFiveBits(block + 6, Load32(block + 2), -16, out->w);
  }
};

// d f16, m f16, 32 high bits, 16 bytes of nibbles: d * (5 bits) + m.
struct FormatQ51 {
  static constexpr std::size_t kBlockValues = 32;
  static constexpr std::size_t kBlockBytes = 24;
  static constexpr Terms kTerms = Terms::kScaleMinimum;
  static void Unpack(const std::byte* block, std::size_t /*group*/, Group* out) {
    SetScale(HalfAt(block), out);
    out->minimum[0] = HalfAt(block + 2);
    UnpackFiveBits(block + 8, Load32(block + 4), 0, out->w);
  }
};

// d f16, 32 signed bytes: d * byte.
struct FormatQ80 {
  static constexpr std::size_t kBlockValues = 32;
  static constexpr std::size_t kBlockBytes = 34;
  static constexpr Terms kTerms = Terms::kScale;
  static void Unpack(const std::byte* block, std::size_t /*group*/, Group* out) {
    SetScale(HalfAt(block), out);
    std::memcpy(out->w, block + 2, kGroupValues);
  }
};

}  // namespace bramble::kernels
