#include "coordinator/api/json_body.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <nlohmann/json.hpp>

#include "coordinator/api/joined.h"

namespace bramble::coordinator {
namespace {

using testing::HasSubstr;

std::string Repeat(const std::string& text, std::size_t count) {
  std::string out;
  for (std::size_t i = 0; i < count; ++i) out += text;
  return out;
}

TEST(JsonBody, KeepsTheOrderOfKeysAndAllTypes) {
  Json body;
  const std::string text =
      R"({"z":1,"a":[true,null,-2,2.5,"\u00e9\u20ac"],"m":{"y":18446744073709551615,"b":{}}})";
  ASSERT_FALSE(ParseBody(text, body));
  EXPECT_EQ(body.dump(),
            "{\"z\":1,\"a\":[true,null,-2,2.5,\"\u00e9\u20ac\"],\"m\":{\"y\":18446744073709551615,"
            "\"b\":{}}}");
}

TEST(JsonBody, SaysWhereItIsBroken) {
  const struct {
    std::string body;
    const char* message;
  } cases[] = {
      {"", "byte"},
      {"{", "byte"},
      {"{\"a\": 1,}", "at byte 9"},
      {"{\"a\": tru}", "column 10"},
      {"{\"a\": 1}\n{\"b\": 2}", "line 2"},
      {"{\"a\": 01}", "at byte"},
      {"{\"a\": NaN}", "at byte"},
      {"{\"a\": 1e999}", "at byte"},
      {"{'a': 1}", "at byte 2"},
      {"{\"a\": \"\xff\"}", "at byte"},
      {"{\"a\": \"\\ud800\"}", "at byte"},
      {"{\"a\": \"line\nbreak\"}", "at byte"},
      {"[1]", "object"},
      {"\"text\"", "object"},
      {"null", "object"},
      {Repeat("[", 100'000), "64 levels"},
      {"{\"a\":" + Repeat("[", 63) + Repeat("]", 63) + "}", ""},
      {"{\"a\":" + Repeat("[", 64) + Repeat("]", 64) + "}", "64 levels"},
      {"{\"a\":[" + Repeat("0,", 500'000) + "0]}", "500000"},
      {"{\"a\": 1, \"b\": {\"c\": 1, \"c\": 2}}", "'c' occurs twice"},
      {"{\"max_tokens\": 1, \"max_tokens\": 2}", "'max_tokens' occurs twice"},
      {"{\"a\": 1, \"\\u0061\": 2}", "'a' occurs twice"},
  };
  for (const auto& bad : cases) {
    SCOPED_TRACE(bad.body.substr(0, 60));
    Json body;
    const auto error = ParseBody(bad.body, body);
    if (std::string(bad.message).empty()) {
      EXPECT_FALSE(error);
      continue;
    }
    ASSERT_TRUE(error);
    EXPECT_EQ(error->status, 400U);
    EXPECT_THAT(error->message, HasSubstr(bad.message));
  }
}

TEST(JsonBody, TakesAnObjectOfManyKeysInOnePass) {
  std::string text = "{\"k\":0";
  for (int i = 0; i < 400'000; ++i) text += Joined(",\"k", i, "\":0");
  text += "}";
  Json body;
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_FALSE(ParseBody(text, body));
  EXPECT_EQ(body.size(), 400'001U);
  // A look through all earlier keys for each would take minutes.
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));
}

}  // namespace
}  // namespace bramble::coordinator
