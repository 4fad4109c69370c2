#include "model/quantized/matrix.h"

#include <algorithm>
#include <cstring>

#include "common/check.h"
#include "kernels/encodings/encoding.h"
#include "model/files/little_endian.h"

namespace bramble::model::quantized {
namespace {

// The layouts of kernels/encodings/int_types.h, written.
template <std::uint32_t kBits>
void WriteCodes(const std::uint8_t* codes, std::byte* out) {
  std::uint32_t high = 0;  // of odd widths
  std::uint8_t twos[8] = {};
  std::uint8_t nibbles[16] = {};
  for (std::size_t i = 0; i < 32; ++i) {
    const std::uint32_t code = codes[i];
    if constexpr (kBits < 4) twos[i % 8] |= static_cast<std::uint8_t>((code & 3U) << (2 * (i / 8)));
    if constexpr (kBits == 6) twos[i % 8] |= static_cast<std::uint8_t>(code >> 4U << (2 * (i / 8)));
    if constexpr (kBits >= 4) {
      nibbles[i % 16] |= static_cast<std::uint8_t>((code & 15U) << (4 * (i / 16)));
    }
    if constexpr (kBits % 2 != 0) high |= code >> (kBits - 1) << i;
  }
  if constexpr (kBits % 2 != 0) {
    std::memcpy(out, &high, sizeof(high));
    out += sizeof(high);
  }
  if constexpr (kBits < 4 || kBits == 6) {
    std::memcpy(out, twos, sizeof(twos));
    out += sizeof(twos);
  }
  if constexpr (kBits >= 4) std::memcpy(out, nibbles, sizeof(nibbles));
}

void WriteInteger(v1::Encoding encoding, const std::uint8_t* codes, const Shared& shared,
                  std::byte* out) {
  const std::int32_t shift = encoding == v1::ENCODING_INT8 ? 128 : 0;
  const auto zero = static_cast<std::int16_t>(shared.zero - shift);
  std::memcpy(out, &shared.scale, sizeof(shared.scale));
  std::memcpy(out + 4, &zero, sizeof(zero));
  out += 6;
  switch (encoding) {
    case v1::ENCODING_INT2:
      return WriteCodes<2>(codes, out);
    case v1::ENCODING_INT3:
      return WriteCodes<3>(codes, out);
    case v1::ENCODING_INT4:
      return WriteCodes<4>(codes, out);
    case v1::ENCODING_INT4_128:
      for (std::size_t group = 0; group < 4; ++group) {
        WriteCodes<4>(codes + 32 * group, out + 16 * group);
      }
      return;
    case v1::ENCODING_INT5:
      return WriteCodes<5>(codes, out);
    case v1::ENCODING_INT6:
      return WriteCodes<6>(codes, out);
    case v1::ENCODING_INT8:
      for (std::size_t i = 0; i < 32; ++i) out[i] = static_cast<std::byte>(codes[i] - 128);
      return;
    default:
      CHECK(false);
  }
}

void WriteBlock(v1::Encoding encoding, const std::uint8_t* codes, const Shared& shared,
                std::byte* out) {
  if (encoding == v1::ENCODING_NF4 || encoding == v1::ENCODING_FP4) {
    std::memcpy(out, &shared.scale, sizeof(shared.scale));
    for (std::size_t i = 0; i < 32; ++i) {
      out[4 + i] = static_cast<std::byte>(codes[2 * i] | codes[2 * i + 1] << 4U);
    }
  } else if (encoding == v1::ENCODING_F8_E4M3) {
    std::memcpy(out, &shared.scale, sizeof(shared.scale));
    std::memcpy(out + 4, codes, 32);
  } else {
    WriteInteger(encoding, codes, shared, out);
  }
}

}  // namespace

void Matrix::Write(const Part& part, std::uint32_t first, std::uint32_t count,
                   std::byte* out) const {
  const auto& info = *kernels::FindEncoding(static_cast<kernels::Encoding>(part.encoding));
  std::vector<std::uint8_t> codes(std::size_t{kTile} * inputs_);
  std::vector<Shared> shared(codes.size() / kGroup);
  for (std::uint32_t done = 0; done < count; done += kTile) {
    const std::uint32_t rows = std::min(kTile, count - done);
    Read(first + done, rows, codes.data(), shared.data());
    for (std::uint32_t row = 0; row < rows; ++row) {
      const std::size_t row_at = std::size_t{row} * inputs_;
      for (std::size_t at = part.first; at < part.first + part.count; at += info.block_values) {
        WriteBlock(part.encoding, codes.data() + row_at + at, shared[(row_at + at) / kGroup], out);
        out += info.block_bytes;
      }
    }
  }
}

v1::Encoding IntegerEncoding(std::uint32_t bits, std::uint32_t group) {
  switch (bits) {
    case 2:
      return v1::ENCODING_INT2;
    case 3:
      return v1::ENCODING_INT3;
    case 4:
      return group % 128 == 0 ? v1::ENCODING_INT4_128 : v1::ENCODING_INT4;
    case 5:
      return v1::ENCODING_INT5;
    case 6:
      return v1::ENCODING_INT6;
    case 8:
      return v1::ENCODING_INT8;
    default:
      return v1::ENCODING_UNSPECIFIED;
  }
}

std::uint32_t StreamValue(const std::byte* words, std::size_t step, std::uint32_t bits,
                          std::size_t at) {
  const std::size_t bit = at * bits;
  const std::byte* word = words + bit / 32 * step * 4;
  const std::size_t shift = bit % 32;
  std::uint32_t value = files::Load<std::uint32_t>(word) >> shift;
  if (shift + bits > 32) value |= files::Load<std::uint32_t>(word + step * 4) << (32 - shift);
  return value & ((1U << bits) - 1);
}

}  // namespace bramble::model::quantized
