// Reading little-endian numbers of encoded blocks. For ordinary code only (no instruction-set
// flags).
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace bramble::kernels {

static_assert(std::endian::native == std::endian::little, "blocks are read as they lie in memory");

inline std::uint32_t Byte(const std::byte* p) { return std::to_integer<std::uint32_t>(*p); }

inline std::uint16_t Load16(const std::byte* p) {
  std::uint16_t value = 0;
  std::memcpy(&value, p, sizeof(value));
  return value;
}

inline std::uint32_t Load32(const std::byte* p) {
  std::uint32_t value = 0;
  std::memcpy(&value, p, sizeof(value));
  return value;
}

// Exact. The exponent is moved by a multiplication with 2^112, which also normalizes subnormal
// halves.
inline float WidenHalf(std::uint16_t half) {
  const std::uint32_t magnitude = half & 0x7fffU;
  const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000U) << 16U;
  float value = std::bit_cast<float>(magnitude << 13U) * 0x1p112F;
  if (magnitude >= 0x7c00U) value = std::bit_cast<float>((magnitude << 13U) | 0x7f800000U);
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(value) | sign);
}

inline float HalfAt(const std::byte* p) { return WidenHalf(Load16(p)); }

inline float WidenBf16(std::uint16_t bf16) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bf16) << 16U);
}

}  // namespace bramble::kernels
