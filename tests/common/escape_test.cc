#include "common/escape.h"

#include <gtest/gtest.h>

namespace bramble {
namespace {

struct Case {
  std::string bytes;
  const char* printable;
  const char* json;
};

TEST(Escape, ShowsEveryByteSafely) {
  const Case cases[] = {
      {"plain text", "plain text", "plain text"},
      {"gr\xc3\xbc\xc3\x9f \xf0\x9f\x8d\x87", "gr\xc3\xbc\xc3\x9f \xf0\x9f\x8d\x87",
       "gr\xc3\xbc\xc3\x9f \xf0\x9f\x8d\x87"},
      {"a\nb\tc\rd", "a\\nb\\tc\\rd", "a\\nb\\tc\\rd"},
      {"\\\"", "\\\\\"", "\\\\\\\""},
      {std::string("\0\x1b\x7f", 3), "\\x00\\x1b\\x7f", "\\u0000\\u001b\\u007f"},
      {"\xc2\x9b", "\\xc2\\x9b", "\\u009b"},           // C1: a one-character terminal code
      {"\xe2\x80\xae", "\\xe2\\x80\\xae", "\\u202e"},  // right-to-left override
      {"\xe2\x80\xa8", "\\xe2\\x80\\xa8", "\\u2028"},  // line separator
      {"\xff\xc3", "\\xff\\xc3", "\\ufffd\\ufffd"},    // no UTF-8
      {"\xc0\xaf", "\\xc0\\xaf", "\\ufffd\\ufffd"},    // longer than needed
      {"\xed\xa0\x80", "\\xed\\xa0\\x80", "\\ufffd\\ufffd\\ufffd"},  // half of a surrogate pair
      {"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80",
       "\\ufffd\\ufffd\\ufffd\\ufffd"},  // beyond Unicode
  };
  for (const Case& c : cases) {
    EXPECT_EQ(Printable(c.bytes), c.printable);
    EXPECT_EQ(JsonEscaped(c.bytes), c.json);
  }
}

TEST(Escape, CutsAtACharacter) {
  EXPECT_EQ(Printable("abcdef", 6), "abcdef");
  EXPECT_EQ(Printable("abcdef", 5), "abcde...");
  EXPECT_EQ(Printable("ab\xc3\xbc", 3), "ab...");
  EXPECT_EQ(Printable("ab\x1b", 5), "ab...");
}

}  // namespace
}  // namespace bramble
