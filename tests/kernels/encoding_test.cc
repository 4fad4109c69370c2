#include "kernels/encodings/encoding.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <set>
#include <string>

#include "tests/kernels/kernels_helpers.h"

namespace bramble::kernels {
namespace {

using testing::Bits;

TEST(Encodings, AreListedByRisingNumber) {
  std::size_t last = 0;
  for (const EncodingInfo& info : Encodings()) {
    EXPECT_GT(static_cast<std::size_t>(info.encoding), last) << info.name;
    last = static_cast<std::size_t>(info.encoding);
    EXPECT_EQ(FindEncoding(info.encoding), &info);
  }
  EXPECT_EQ(Encodings().size(), 36U);
  EXPECT_EQ(last, 39U);
}

TEST(Encodings, HaveNamesOfTheirOwn) {
  std::set<std::string> names;
  for (const EncodingInfo& info : Encodings()) names.insert(info.name);
  EXPECT_EQ(names.size(), Encodings().size());
}

TEST(Encodings, DoNotFindUnknownNumbers) {
  EXPECT_EQ(FindEncoding(Encoding::kUnspecified), nullptr);
  for (const int number : {27, 28, 29, 40}) {
    EXPECT_EQ(FindEncoding(static_cast<Encoding>(number)), nullptr) << number;
  }
  EXPECT_EQ(FindEncoding(static_cast<Encoding>(255)), nullptr);
}

// tests/golden/make_encodings.py describes the file and makes it with the gguf package.
TEST(Encodings, DecodeToTheValuesOfTheReferencePackage) {
  const std::vector<std::byte> file = testing::ReadFile(testing::GoldenPath("encodings.bin"));
  std::size_t at = 0;
  std::size_t seen = 0;
  while (at < file.size()) {
    std::uint32_t header[4];
    ASSERT_LE(at + sizeof(header), file.size());
    std::memcpy(header, file.data() + at, sizeof(header));
    at += sizeof(header);
    const auto [number, blocks, block_bytes, values] = header;
    const EncodingInfo* info = FindEncoding(static_cast<Encoding>(number));
    ASSERT_NE(info, nullptr) << number;
    ASSERT_EQ(info->block_bytes, block_bytes) << info->name;
    ASSERT_EQ(blocks * info->block_values, values) << info->name;
    std::vector<float> expected(values);
    const std::byte* data = file.data() + at;
    at += std::size_t{blocks} * block_bytes;
    std::memcpy(expected.data(), file.data() + at, values * sizeof(float));
    at += values * sizeof(float);
    std::vector<float> actual(values);
    info->decode(data, blocks, actual.data());
    EXPECT_EQ(Bits(actual), Bits(expected)) << info->name;
    ++seen;
  }
  EXPECT_EQ(seen, Encodings().size());
}

TEST(Encodings, DecodeFromAnyAlignment) {
  testing::Random random(1);
  for (const EncodingInfo& info : Encodings()) {
    const std::vector<std::byte> blocks = testing::RandomBlocks(random, info.encoding, 3);
    std::vector<std::byte> shifted(blocks.size() + 1);
    std::memcpy(shifted.data() + 1, blocks.data(), blocks.size());
    std::vector<float> expected(3 * info.block_values);
    std::vector<float> actual(3 * info.block_values);
    info.decode(blocks.data(), 3, expected.data());
    info.decode(shifted.data() + 1, 3, actual.data());
    EXPECT_EQ(Bits(actual), Bits(expected)) << info.name;
  }
}

}  // namespace
}  // namespace bramble::kernels
