#include "model/text/messages.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

namespace bramble::model::text {
namespace {

using Json = nlohmann::ordered_json;

struct Case {
  const char* what;
  const char* given;
  const char* normal;
};

TEST(Messages, BecomeWhatTemplatesExpect) {
  const Case cases[] = {
      {"plain", R"([{"role":"user","content":"a"}])", R"([{"role":"user","content":"a"}])"},
      {"null content", R"([{"role":"assistant","content":null}])",
       R"([{"role":"assistant","content":""}])"},
      {"no content", R"([{"role":"assistant"}])", R"([{"role":"assistant","content":""}])"},
      {"parts",
       R"([{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}])",
       R"([{"role":"user","content":"a\nb"}])"},
      {"developer", R"([{"role":"developer","content":"a"}])",
       R"([{"role":"system","content":"a"}])"},
      {"arguments",
       R"([{"role":"assistant","content":"","tool_calls":[{"id":"1","function":{"name":"f","arguments":"{\"z\":1,\"a\":[2]}"}}]}])",
       R"([{"role":"assistant","content":"","tool_calls":[{"id":"1","function":{"name":"f","arguments":{"z":1,"a":[2]}}}]}])"},
      {"empty arguments",
       R"([{"role":"assistant","content":"","tool_calls":[{"function":{"name":"f","arguments":""}}]}])",
       R"([{"role":"assistant","content":"","tool_calls":[{"function":{"name":"f","arguments":{}}}]}])"},
      {"missing arguments",
       R"([{"role":"assistant","content":"","tool_calls":[{"function":{"name":"f"}}]}])",
       R"([{"role":"assistant","content":"","tool_calls":[{"function":{"name":"f","arguments":{}}}]}])"},
      {"no calls", R"([{"role":"assistant","content":"a","tool_calls":[]}])",
       R"([{"role":"assistant","content":"a"}])"},
      {"reasoning", R"([{"role":"assistant","reasoning_content":"r","content":"a"}])",
       R"([{"role":"assistant","reasoning_content":"r","content":"a","thinking":"r"}])"},
      {"other keys stay", R"([{"name":"n","role":"tool","tool_call_id":"x","content":"a"}])",
       R"([{"name":"n","role":"tool","tool_call_id":"x","content":"a"}])"},
  };
  for (const Case& one : cases) {
    const auto normal = NormalizeMessages(Json::parse(one.given));
    ASSERT_TRUE(normal.ok()) << one.what << ": " << normal.status().message();
    EXPECT_EQ(normal->dump(), Json::parse(one.normal).dump()) << one.what;
  }
}

TEST(Messages, NameThePlaceThatIsWrong) {
  const Case cases[] = {
      {"", R"({})", "messages must be an array"},
      {"", R"([1])", "messages[0] must be an object"},
      {"", R"([{"content":"a"}])", "messages[0].role must be a string"},
      {"", R"([{"role":"user","content":"a"},{"role":"user","content":5}])",
       "messages[1].content must be"},
      {"", R"([{"role":"user","content":[{"type":"image_url"}]}])",
       "messages[0].content[0].type is 'image_url'"},
      {"", R"([{"role":"user","content":[{"text":"a"}]}])",
       "messages[0].content[0] must be an object with a type"},
      {"", R"([{"role":"user","content":[{"type":"text"}]}])",
       "messages[0].content[0].text must be a string"},
      {"", R"([{"role":"assistant","tool_calls":[{}]}])",
       "messages[0].tool_calls[0].function must be an object"},
      {"", R"([{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":"{"}}]}])",
       "messages[0].tool_calls[0].function.arguments is not JSON"},
      {"", R"([{"role":"assistant","tool_calls":{}}])", "messages[0].tool_calls must be an array"},
  };
  for (const Case& one : cases) {
    const auto normal = NormalizeMessages(Json::parse(one.given));
    ASSERT_FALSE(normal.ok()) << one.given;
    EXPECT_NE(normal.status().message().find(one.normal), std::string::npos)
        << normal.status().message();
  }
}

}  // namespace
}  // namespace bramble::model::text
