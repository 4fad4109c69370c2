// The form in which every block encoding is described: groups of 32 values.
//
// An encoding is a type with
//   kBlockValues, kBlockBytes   the size of a block; kBlockValues is a multiple of 32
//   kTerms                      how the group's numbers are combined (below)
//   static void Unpack(const std::byte* block, std::size_t group, Group* out)
// One description serves both the decoder and the portable integer product. For ordinary code only.
#pragma once

#include <cstddef>
#include <cstdint>

namespace bramble::kernels {

inline constexpr std::size_t kGroupValues = 32;
inline constexpr std::size_t kHalfGroup = 16;

enum class Terms : std::uint8_t {
  kScale,         // value = scale[0] * multiplier[half] * w
  kScaleMinimum,  // value = scale[0] * multiplier[half] * w + minimum[0]
  kTwoMinima,     // value = scale[0] * multiplier[half] * w + minimum[half]
  kTwoScales,     // value = scale[half] * w
  kZero,          // value = scale[0] * (w - zero)
  kPlanes,        // value = scale[0] * (128 * w + low), in integer products only
};

// Value i belongs to half i / 16.
struct Group {
  float scale[2];
  std::int32_t multiplier[2];
  float minimum[2];
  std::int32_t zero;  // -2^15 .. 2^15 - 1
  std::int8_t w[kGroupValues];
  std::int8_t low[kGroupValues];  // 0 .. 127
};

// The factor of w in one half: exact for every encoding, but for overflow.
template <typename Format>
float FactorOfHalf(const Group& group, std::size_t half) {
  if constexpr (Format::kTerms == Terms::kTwoScales) return group.scale[half];
  return group.scale[0] * static_cast<float>(group.multiplier[half]);
}

// One rounding for the product, one for the sum. w - zero is exact.
template <typename Format>
void DecodeBlocks(const std::byte* blocks, std::size_t count, float* out) {
  Group group;
  for (std::size_t b = 0; b < count; ++b, blocks += Format::kBlockBytes) {
    for (std::size_t g = 0; g < Format::kBlockValues / kGroupValues; ++g) {
      Format::Unpack(blocks, g, &group);
      if constexpr (Format::kTerms == Terms::kZero) {
        for (const std::int8_t w : group.w) {
          *out++ = group.scale[0] * static_cast<float>(w - group.zero);
        }
        continue;
      }
      for (std::size_t half = 0; half < 2; ++half) {
        const float factor = FactorOfHalf<Format>(group, half);
        const std::int8_t* w = group.w + half * kHalfGroup;
        for (std::size_t i = 0; i < kHalfGroup; ++i) out[i] = factor * static_cast<float>(w[i]);
        if constexpr (Format::kTerms == Terms::kScaleMinimum) {
          for (std::size_t i = 0; i < kHalfGroup; ++i) out[i] += group.minimum[0];
        }
        if constexpr (Format::kTerms == Terms::kTwoMinima) {
          for (std::size_t i = 0; i < kHalfGroup; ++i) out[i] += group.minimum[half];
        }
        out += kHalfGroup;
      }
    }
  }
}

}  // namespace bramble::kernels
