#include "tests/kernels/kernels_helpers.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>

#include "kernels/convert.h"

namespace bramble::kernels::testing {
namespace {

struct HalfField {
  Encoding encoding;
  std::vector<std::size_t> offsets;  // of the f16 scales of a block
};

const std::vector<HalfField>& HalfFields() {
  static const std::vector<HalfField> fields = {
      {Encoding::kF16, {0}},       {Encoding::kQ4_0, {0}},    {Encoding::kQ4_1, {0, 2}},
      {Encoding::kQ5_0, {0}},      {Encoding::kQ5_1, {0, 2}}, {Encoding::kQ8_0, {0}},
      {Encoding::kQ2_K, {80, 82}}, {Encoding::kQ3_K, {108}},  {Encoding::kQ4_K, {0, 2}},
      {Encoding::kQ5_K, {0, 2}},   {Encoding::kQ6_K, {208}},  {Encoding::kIq4Nl, {0}},
      {Encoding::kIq4Xs, {0}},     {Encoding::kIq2Xxs, {0}},  {Encoding::kIq2Xs, {0}},
      {Encoding::kIq2S, {0}},      {Encoding::kIq3Xxs, {0}},  {Encoding::kIq3S, {0}},
      {Encoding::kIq1S, {0}},      {Encoding::kTq1_0, {52}},  {Encoding::kTq2_0, {64}},
  };
  return fields;
}

// An ordinary scale, or a subnormal one.
std::uint16_t RandomHalf(Random& random, bool subnormal) {
  if (subnormal) return static_cast<std::uint16_t>(1 + random() % 1023);
  return FloatToHalf(std::normal_distribution<float>(0.0F, 0.05F)(random));
}

void FixBlock(Random& random, Encoding encoding, bool subnormal, std::byte* block) {
  for (const HalfField& field : HalfFields()) {
    if (field.encoding != encoding) continue;
    for (const std::size_t offset : field.offsets) {
      const std::uint16_t half = RandomHalf(random, subnormal);
      std::memcpy(block + offset, &half, sizeof(half));
    }
  }
  if (encoding == Encoding::kIq1M) {
    const std::uint16_t half = RandomHalf(random, subnormal);
    for (unsigned i = 0; i < 4; ++i) {  // four bits of it in the top of each of four words
      const std::size_t at = 49 + 2 * i;
      const auto low = block[at] & std::byte{0x0f};
      block[at] = low | static_cast<std::byte>((half >> (4 * i) & 15U) << 4U);
    }
  }
  if (encoding == Encoding::kMxfp4)
    block[0] = static_cast<std::byte>(subnormal ? 1 : 110 + random() % 20);
  if (encoding >= Encoding::kInt2) {  // all of these begin with an f32 scale
    const float scale = subnormal ? 0x1.8p-140F : std::normal_distribution<float>(0, 0.05F)(random);
    std::memcpy(block, &scale, sizeof(scale));
  }
  if (encoding == Encoding::kF8E4M3) {
    for (std::size_t i = 4; i < 36; ++i) {
      if ((block[i] & std::byte{0x7f}) == std::byte{0x7f}) block[i] = std::byte{1};  // no number
    }
  }
  if (encoding == Encoding::kF32) {
    const float value = subnormal ? 0x1.8p-140F : std::normal_distribution<float>()(random);
    std::memcpy(block, &value, sizeof(value));
  }
  if (encoding == Encoding::kBf16) {
    const float value = subnormal ? 0x1.8p-140F : std::normal_distribution<float>()(random);
    std::memcpy(block, reinterpret_cast<const std::byte*>(&value) + 2, 2);
  }
}

}  // namespace

std::vector<float> RandomFloats(Random& random, std::size_t n, float scale) {
  std::normal_distribution<float> normal(0.0F, scale);
  std::vector<float> x(n);
  for (float& value : x) value = normal(random);
  return x;
}

std::vector<float> WildFloats(Random& random, std::size_t n) {
  std::vector<float> x(n);
  for (float& value : x) {
    const auto sign = static_cast<std::uint32_t>(random() & 1U) << 31U;
    const auto mantissa = static_cast<std::uint32_t>(random() & 0x7fffffU);
    const auto exponent = static_cast<std::uint32_t>(random() % 255) << 23U;
    value = std::bit_cast<float>(sign | exponent | mantissa);
    if (random() % 16 == 0) value = std::bit_cast<float>(sign);
  }
  return x;
}

std::vector<std::byte> RandomBlocks(Random& random, Encoding encoding, std::size_t count) {
  const EncodingInfo& info = *FindEncoding(encoding);
  std::vector<std::byte> blocks(count * info.block_bytes);
  for (std::size_t b = 0; b < count; ++b) {
    std::byte* block = blocks.data() + b * info.block_bytes;
    const auto kind = random() % 8;
    if (kind == 0) continue;
    for (std::size_t i = 0; i < info.block_bytes; ++i) block[i] = static_cast<std::byte>(random());
    FixBlock(random, encoding, kind == 1, block);
  }
  return blocks;
}

void FillBlocks(Random& random, Encoding encoding, std::byte byte, std::span<std::byte> blocks) {
  const std::size_t block_bytes = FindEncoding(encoding)->block_bytes;
  std::fill(blocks.begin(), blocks.end(), byte);
  for (std::size_t at = 0; at < blocks.size(); at += block_bytes) {
    FixBlock(random, encoding, false, blocks.data() + at);
  }
}

std::vector<std::uint32_t> Bits(std::span<const float> x) {
  std::vector<std::uint32_t> bits;
  bits.reserve(x.size());
  for (const float value : x) bits.push_back(std::bit_cast<std::uint32_t>(value));
  return bits;
}

double UlpsFrom(float actual, double expected) {
  int exponent = 0;
  std::frexp(expected, &exponent);
  const double ulp = std::ldexp(1.0, std::max(exponent - 24, -149));
  return std::fabs(static_cast<double>(actual) - expected) / ulp;
}

std::string GoldenPath(const std::string& name) {
  return std::string(BRAMBLE_SOURCE_DIR) + "/tests/golden/kernels/" + name;
}

std::vector<std::byte> ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  std::vector<std::byte> bytes(text.size());
  std::memcpy(bytes.data(), text.data(), text.size());
  return bytes;
}

AlignedBytes::AlignedBytes(std::size_t size) : storage_(size + 64), data_(storage_.data()) {
  while (reinterpret_cast<std::uintptr_t>(data_) % 64 != 0) ++data_;
}

}  // namespace bramble::kernels::testing
