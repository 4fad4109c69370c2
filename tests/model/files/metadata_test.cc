#include "model/files/metadata.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "model/files/json.h"
#include "model/files/quote.h"

namespace bramble::model::files {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Json, FlattensObjectsToKeys) {
  const auto data = ReadJson(
      R"({"a":1,"b":{"c":-2,"d":{"e":"x"}},"f":[1,2.5,true],"g":["u","v"],"h":null,"i":[],"j":{},"k":12345678901234567890})",
      100);
  ASSERT_TRUE(data.ok()) << data.status().message();
  EXPECT_EQ(data->at("a").Whole(), 1);
  EXPECT_EQ(data->at("b.c").Whole(), -2);
  EXPECT_EQ(data->at("b.d.e").Text(), "x");
  EXPECT_THAT(*data->at("f").Numbers(9), ElementsAre(1, 2.5, 1));
  EXPECT_THAT(*data->at("g").Texts(9), ElementsAre("u", "v"));
  EXPECT_EQ(FindValue(*data, "h"), nullptr);
  EXPECT_TRUE(data->at("i").IsList());
  EXPECT_FALSE(data->at("k").Whole());
  EXPECT_EQ(data->size(), 8u);
}

TEST(Json, LeavesOutWhatIsNestedInLists) {
  const auto data = ReadJson(R"({"a":[{"b":1,"c":[2]},3,[4],5],"d":{"e":[[6]]},"f":7})", 100);
  ASSERT_TRUE(data.ok()) << data.status().message();
  EXPECT_THAT(*data->at("a").Numbers(9), ElementsAre(3, 5));
  EXPECT_EQ(data->at("d.e").ListSize(), 0u);
  EXPECT_EQ(data->at("f").Whole(), 7);
}

TEST(Json, RefusesWhatIsNoObjectOrTooMuch) {
  const std::pair<std::string, const char*> wrong[] = {
      {"", "not JSON"},
      {"[1]", "a JSON object is needed"},
      {"3", "a JSON object is needed, and it is 3"},
      {R"({"a":1,"a":2})", "'a' stands there twice"},
      {R"({"a.b":1,"a":{"b":2}})", "'a.b' stands there twice"},
      {R"({"a":1,"b":2,"c":3})", "more than 2 values"},
      {R"({"a":[1,2,3]})", "more than 2 values"},
      {R"({"a":1)", "not JSON"},
      {std::string(100, '[') + std::string(100, ']'), "a JSON object is needed"},
      {"{\"a\":" + std::string(100, '[') + std::string(100, ']') + "}", "deeper than 32"},
      {"{\"a\":\x1b}", "not JSON"},
  };
  for (const auto& [text, message] : wrong) {
    EXPECT_THAT(ReadJson(text, 2).status().message(), HasSubstr(message)) << text;
  }
}

TEST(MetaValue, TakesANumberOnlyForWhatItIs) {
  EXPECT_EQ(MetaValue{64.0}.Whole(), 64);
  EXPECT_FALSE(MetaValue{64.5}.Whole());
  EXPECT_FALSE(MetaValue{1e300}.Whole());
  EXPECT_FALSE(MetaValue{std::string("64")}.Whole());
  EXPECT_FALSE(MetaValue{true}.Whole());
  EXPECT_EQ(MetaValue{std::int64_t{1}}.Flag(), true);
  EXPECT_FALSE(MetaValue{std::int64_t{2}}.Flag());
}

TEST(Quote, ShowsNothingThatATerminalWouldObey) {
  const std::pair<std::string, const char*> texts[] = {
      {"plain", "'plain'"},
      {"gr\xc3\xbc\xc3\x9f", "'gr\xc3\xbc\xc3\x9f'"},
      {"\x1b]0;x\x07", "'\\x1b]0;x\\x07'"},
      {"\xff\xc3", "'\\xff\\xc3'"},
      {"\xc2\x9b", "'\\xc2\\x9b'"},           // a control character of two bytes
      {"\xe2\x80\xae", "'\\xe2\\x80\\xae'"},  // right-to-left override
      {"\xed\xa0\x80", "'\\xed\\xa0\\x80'"},  // half of a surrogate pair
      {"\xf0\x9f\x8c\xbf", "'\xf0\x9f\x8c\xbf'"},
  };
  for (const auto& [text, quoted] : texts) EXPECT_EQ(Quote(text), quoted);
  EXPECT_EQ(Escape(std::string(100, 'x'), 3), "xxx...");
}

}  // namespace
}  // namespace bramble::model::files
