#include "kernels/panels/layouts.h"

#include <cstring>

#include "kernels/encodings/bits.h"
#include "kernels/encodings/k_types.h"
#include "kernels/panels/pack.h"

namespace bramble::kernels::panels {
namespace {

// Bit 4 j + b of the file's word is bit 8 b + j of the panel's.
std::uint32_t SpreadHighBits(std::uint32_t bits) {
  std::uint32_t spread = 0;
  for (std::size_t value = 0; value < 32; ++value) {
    spread |= (bits >> value & 1U) << (8 * (value % 4) + value / 4);
  }
  return spread;
}

std::uint32_t GatherHighBits(std::uint32_t spread) {
  std::uint32_t bits = 0;
  for (std::size_t value = 0; value < 32; ++value) {
    bits |= (spread >> (8 * (value % 4) + value / 4) & 1U) << value;
  }
  return bits;
}

void Store32(std::uint32_t value, std::byte* to) { std::memcpy(to, &value, sizeof(value)); }

template <std::size_t kBytes, std::size_t kHighAt>
void ExpandFive(const std::byte* block, std::byte* expanded) {
  std::memcpy(expanded, block, kBytes);
  Store32(SpreadHighBits(Load32(block + kHighAt)), expanded + kHighAt);
}

template <std::size_t kBytes, std::size_t kHighAt>
void RestoreFive(const std::byte* expanded, std::byte* block) {
  std::memcpy(block, expanded, kBytes);
  Store32(GatherHighBits(Load32(expanded + kHighAt)), block + kHighAt);
}

std::byte ToByte(std::uint32_t value) { return static_cast<std::byte>(value & 255U); }

// Q4_K, Q5_K: d, dmin; 8 pairs of a scale and a minimum (16 bytes instead of 12); the rest.
template <std::size_t kBytes>
void ExpandSixBits(const std::byte* block, std::byte* expanded) {
  std::memcpy(expanded, block, 4);
  for (std::size_t j = 0; j < 8; ++j) {
    expanded[4 + 2 * j] = ToByte(SixBitScale(block + 4, j));
    expanded[5 + 2 * j] = ToByte(SixBitMinimum(block + 4, j));
  }
  std::memcpy(expanded + 20, block + 16, kBytes - 16);
}

template <std::size_t kBytes>
void RestoreSixBits(const std::byte* expanded, std::byte* block) {
  std::memcpy(block, expanded, 4);
  for (std::size_t j = 0; j < 4; ++j) {
    const std::uint32_t low_scale = Byte(expanded + 4 + 2 * j);
    const std::uint32_t low_minimum = Byte(expanded + 5 + 2 * j);
    const std::uint32_t scale = Byte(expanded + 12 + 2 * j);
    const std::uint32_t minimum = Byte(expanded + 13 + 2 * j);
    block[4 + j] = ToByte(low_scale | (scale >> 4U) << 6U);
    block[8 + j] = ToByte(low_minimum | (minimum >> 4U) << 6U);
    block[12 + j] = ToByte((scale & 15U) | minimum << 4U);
  }
  std::memcpy(block + 16, expanded + 20, kBytes - 16);
}

// Q3_K: high bits and quants (96 bytes); 16 signed scales instead of 12 bytes; d.
void ExpandQ3(const std::byte* block, std::byte* expanded) {
  std::memcpy(expanded, block, 96);
  for (std::size_t g = 0; g < 16; ++g) {
    expanded[96 + g] = ToByte(static_cast<std::uint32_t>(Q3Scale(block + 96, g)));
  }
  std::memcpy(expanded + 112, block + 108, 2);
}

void RestoreQ3(const std::byte* expanded, std::byte* block) {
  std::memcpy(block, expanded, 96);
  std::uint32_t scales[16];
  for (std::size_t g = 0; g < 16; ++g) scales[g] = (Byte(expanded + 96 + g) + 32U) & 63U;
  for (std::size_t i = 0; i < 8; ++i) {
    block[96 + i] = ToByte((scales[i] & 15U) | (scales[i + 8] & 15U) << 4U);
  }
  for (std::size_t i = 0; i < 4; ++i) {
    block[104 + i] = ToByte(scales[i] >> 4U | scales[i + 4] >> 4U << 2U |
                            scales[i + 8] >> 4U << 4U | scales[i + 12] >> 4U << 6U);
  }
  std::memcpy(block + 108, expanded + 112, 2);
}

constexpr Layout kQ40Layout{Encoding::kQ4_0, 18, {{0, 2, 2}, {2, 16, 4}}, nullptr, nullptr};
constexpr Layout kQ41Layout{
    Encoding::kQ4_1, 20, {{0, 2, 2}, {2, 2, 2}, {4, 16, 4}}, nullptr, nullptr};
constexpr Layout kQ50Layout{
    Encoding::kQ5_0, 22, {{0, 2, 2}, {2, 4, 4}, {6, 16, 4}}, ExpandFive<22, 2>, RestoreFive<22, 2>};
constexpr Layout kQ51Layout{Encoding::kQ5_1,
                            24,
                            {{0, 2, 2}, {2, 2, 2}, {4, 4, 4}, {8, 16, 4}},
                            ExpandFive<24, 4>,
                            RestoreFive<24, 4>};
constexpr Layout kQ80Layout{Encoding::kQ8_0, 34, {{0, 2, 2}, {2, 32, 4}}, nullptr, nullptr};
constexpr Layout kQ2KLayout{
    Encoding::kQ2_K, 84, {{80, 2, 2}, {82, 2, 2}, {0, 16, 2}, {16, 64, 4}}, nullptr, nullptr};
constexpr Layout kQ3KLayout{
    Encoding::kQ3_K, 114, {{112, 2, 2}, {96, 16, 2}, {0, 32, 4}, {32, 64, 4}}, ExpandQ3, RestoreQ3};
constexpr Layout kQ4KLayout{Encoding::kQ4_K,
                            148,
                            {{0, 2, 2}, {2, 2, 2}, {4, 16, 2}, {20, 128, 4}},
                            ExpandSixBits<144>,
                            RestoreSixBits<144>};
constexpr Layout kQ5KLayout{Encoding::kQ5_K,
                            180,
                            {{0, 2, 2}, {2, 2, 2}, {4, 16, 2}, {20, 32, 4}, {52, 128, 4}},
                            ExpandSixBits<176>,
                            RestoreSixBits<176>};
constexpr Layout kQ6KLayout{
    Encoding::kQ6_K, 210, {{208, 2, 2}, {192, 16, 2}, {128, 64, 4}, {0, 128, 4}}, nullptr, nullptr};
constexpr Layout kInt2Layout{
    Encoding::kInt2, 14, {{0, 4, 4}, {4, 2, 2}, {6, 8, 4}}, nullptr, nullptr};
constexpr Layout kInt3Layout{Encoding::kInt3,
                             18,
                             {{0, 4, 4}, {4, 2, 2}, {6, 4, 4}, {10, 8, 4}},
                             ExpandFive<18, 6>,
                             RestoreFive<18, 6>};
constexpr Layout kInt4Layout{
    Encoding::kInt4, 22, {{0, 4, 4}, {4, 2, 2}, {6, 16, 4}}, nullptr, nullptr};
constexpr Layout kInt5Layout{Encoding::kInt5,
                             26,
                             {{0, 4, 4}, {4, 2, 2}, {6, 4, 4}, {10, 16, 4}},
                             ExpandFive<26, 6>,
                             RestoreFive<26, 6>};
constexpr Layout kInt6Layout{
    Encoding::kInt6, 30, {{0, 4, 4}, {4, 2, 2}, {6, 8, 4}, {14, 16, 4}}, nullptr, nullptr};
constexpr Layout kInt8Layout{
    Encoding::kInt8, 38, {{0, 4, 4}, {4, 2, 2}, {6, 32, 4}}, nullptr, nullptr};
constexpr Layout kInt4x128Layout{
    Encoding::kInt4x128, 70, {{0, 4, 4}, {4, 2, 2}, {6, 64, 4}}, nullptr, nullptr};
constexpr Layout kNf4Layout{Encoding::kNf4, 36, {{0, 4, 4}, {4, 32, 4}}, nullptr, nullptr};
constexpr Layout kFp4Layout{Encoding::kFp4, 36, {{0, 4, 4}, {4, 32, 4}}, nullptr, nullptr};
constexpr Layout kF8Layout{Encoding::kF8E4M3, 36, {{0, 4, 4}, {4, 32, 4}}, nullptr, nullptr};
constexpr Layout kF32Layout{Encoding::kF32, 4, {{0, 4, 4}}, nullptr, nullptr};
constexpr Layout kF16Layout{Encoding::kF16, 2, {{0, 2, 2}}, nullptr, nullptr};
constexpr Layout kBf16Layout{Encoding::kBf16, 2, {{0, 2, 2}}, nullptr, nullptr};

// The constants of layouts.h say the same as the field lists.
constexpr bool UnitIs(const Layout& layout, std::size_t bytes) {
  return layout.expanded_bytes * kPanelRows == bytes;
}
static_assert(UnitIs(kQ40Layout, Q40::kUnit) && UnitIs(kQ41Layout, Q41::kUnit));
static_assert(UnitIs(kQ50Layout, Q50::kUnit) && UnitIs(kQ51Layout, Q51::kUnit));
static_assert(UnitIs(kQ80Layout, Q80::kUnit) && UnitIs(kQ2KLayout, Q2K::kUnit));
static_assert(UnitIs(kQ3KLayout, Q3K::kUnit) && UnitIs(kQ4KLayout, Q4K::kUnit));
static_assert(UnitIs(kQ5KLayout, Q5K::kUnit) && UnitIs(kQ6KLayout, Q6K::kUnit));
static_assert(UnitIs(kInt2Layout, Int2::kUnit) && UnitIs(kInt3Layout, Int3::kUnit));
static_assert(UnitIs(kInt4Layout, Int4::kUnit) && UnitIs(kInt5Layout, Int5::kUnit));
static_assert(UnitIs(kInt6Layout, Int6::kUnit) && UnitIs(kInt8Layout, Int8::kUnit));
static_assert(UnitIs(kInt4x128Layout, Int4x128::kUnit) && UnitIs(kF8Layout, F8Panel::kUnit));
static_assert(UnitIs(kNf4Layout, CodebookPanel::kUnit));
static_assert(UnitIs(kFp4Layout, CodebookPanel::kUnit));

}  // namespace

template <>
const Layout& LayoutOf<Encoding::kQ4_0>() {
  return kQ40Layout;
}
template <>
const Layout& LayoutOf<Encoding::kQ4_1>() {
  return kQ41Layout;
}
template <>
const Layout& LayoutOf<Encoding::kQ5_0>() {
  return kQ50Layout;
}
template <>
const Layout& LayoutOf<Encoding::kQ5_1>() {
  return kQ51Layout;
}
template <>
const Layout& LayoutOf<Encoding::kQ8_0>() {
  return kQ80Layout;
}
template <>
const Layout& LayoutOf<Encoding::kQ2_K>() {
  return kQ2KLayout;
}
template <>
const Layout& LayoutOf<Encoding::kQ3_K>() {
  return kQ3KLayout;
}
template <>
const Layout& LayoutOf<Encoding::kQ4_K>() {
  return kQ4KLayout;
}
template <>
const Layout& LayoutOf<Encoding::kQ5_K>() {
  return kQ5KLayout;
}
template <>
const Layout& LayoutOf<Encoding::kQ6_K>() {
  return kQ6KLayout;
}
template <>
const Layout& LayoutOf<Encoding::kInt2>() {
  return kInt2Layout;
}
template <>
const Layout& LayoutOf<Encoding::kInt3>() {
  return kInt3Layout;
}
template <>
const Layout& LayoutOf<Encoding::kInt4>() {
  return kInt4Layout;
}
template <>
const Layout& LayoutOf<Encoding::kInt5>() {
  return kInt5Layout;
}
template <>
const Layout& LayoutOf<Encoding::kInt6>() {
  return kInt6Layout;
}
template <>
const Layout& LayoutOf<Encoding::kInt8>() {
  return kInt8Layout;
}
template <>
const Layout& LayoutOf<Encoding::kInt4x128>() {
  return kInt4x128Layout;
}
template <>
const Layout& LayoutOf<Encoding::kNf4>() {
  return kNf4Layout;
}
template <>
const Layout& LayoutOf<Encoding::kFp4>() {
  return kFp4Layout;
}
template <>
const Layout& LayoutOf<Encoding::kF8E4M3>() {
  return kF8Layout;
}
template <>
const Layout& LayoutOf<Encoding::kF32>() {
  return kF32Layout;
}
template <>
const Layout& LayoutOf<Encoding::kF16>() {
  return kF16Layout;
}
template <>
const Layout& LayoutOf<Encoding::kBf16>() {
  return kBf16Layout;
}

}  // namespace bramble::kernels::panels
