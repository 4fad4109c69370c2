#include "common/sha256.h"

#include <gtest/gtest.h>

#include <set>

namespace bramble {
namespace {

// FIPS 180-4's examples.
TEST(Sha256, IsTheStandardsHash) {
  EXPECT_EQ(Hex(Sha256Of(std::string_view("abc"))),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Hex(Sha256Of(std::string_view(""))),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(Sha256, IsTheSameInParts) {
  Sha256Stream stream;
  stream.Add(std::string_view("a"));
  stream.Add(std::string_view(""));
  stream.Add(std::string_view("bc"));
  EXPECT_EQ(stream.Finish(), Sha256Of(std::string_view("abc")));
}

TEST(Hex, IsReadInEitherCaseAndRefusedOtherwise) {
  EXPECT_EQ(*BytesFromHex("00fFAb"), std::string("\0\xff\xab", 3));
  EXPECT_EQ(*BytesFromHex(""), "");
  for (const char* bad : {"0", "0g", "g0", "0x", " 00"})
    EXPECT_FALSE(BytesFromHex(bad).ok()) << bad;
}

TEST(ConstantTime, ComparesAsAnyComparison) {
  EXPECT_TRUE(EqualInConstantTime("abc", "abc"));
  EXPECT_FALSE(EqualInConstantTime("abc", "abd"));
  EXPECT_FALSE(EqualInConstantTime("abc", "ab"));
  EXPECT_TRUE(EqualInConstantTime("", ""));
}

TEST(Random, IsOfItsAlphabetAndNeverTheSame) {
  std::set<std::string> seen;
  for (int i = 0; i < 100; ++i) {
    const std::string text = RandomBase32(26);
    EXPECT_EQ(text.size(), 26U);
    EXPECT_EQ(text.find_first_not_of("abcdefghijklmnopqrstuvwxyz234567"), std::string::npos);
    seen.insert(text);
  }
  EXPECT_EQ(seen.size(), 100U);
}

}  // namespace
}  // namespace bramble
