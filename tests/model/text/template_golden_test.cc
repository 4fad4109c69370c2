#include <gtest/gtest.h>

#include <cstdio>
#include <ctime>
#include <string>

#include "model/text/chat_template.h"
#include "text_helpers.h"

// Templates of public models with the prompts that transformers renders (tests/golden/templates).
namespace bramble::model::text {
namespace {

using Json = nlohmann::ordered_json;

std::tm ParseTime(const std::string& text) {
  std::tm time{};
  std::sscanf(text.c_str(), "%d-%d-%dT%d:%d:%d", &time.tm_year, &time.tm_mon, &time.tm_mday,
              &time.tm_hour, &time.tm_min, &time.tm_sec);
  time.tm_year -= 1900;
  time.tm_mon -= 1;
  time.tm_isdst = -1;
  std::mktime(&time);
  return time;
}

class EveryTemplate : public testing::TestWithParam<std::size_t> {};

TEST_P(EveryTemplate, RendersWhatTransformersRenders) {
  static const Json golden = GoldenJson("templates/expected.json");
  const Json& one = golden["templates"][GetParam()];
  const std::string file = one["file"].get<std::string>();
  const auto parsed = ChatTemplate::Parse(ReadAll(GoldenPath("templates/" + file)));
  ASSERT_TRUE(parsed.ok()) << file << ": " << parsed.status().message();
  ASSERT_EQ(one["cases"].size(), golden["conversations"].size());
  for (const Json& expected : one["cases"]) {
    Json conversation;
    for (const Json& each : golden["conversations"]) {
      if (each["name"] == expected["conversation"]) conversation = each;
    }
    SCOPED_TRACE(file + ", conversation " + conversation["name"].get<std::string>());
    ChatArguments arguments;
    arguments.bos_token = one["bos_token"].get<std::string>();
    arguments.eos_token = one["eos_token"].get<std::string>();
    arguments.variables = &conversation["args"];
    arguments.now = ParseTime(golden["now"].get<std::string>());
    // transformers copies the one name to the other before it renders.
    Json messages = conversation["messages"];
    for (Json& message : messages) {
      if (message.contains("reasoning_content"))
        message["thinking"] = Json(message["reasoning_content"]);
    }
    const auto rendered = (*parsed)->Render(messages, conversation["tools"], arguments);
    if (expected.contains("text")) {
      EXPECT_TRUE(rendered.ok()) << rendered.status().message();
      EXPECT_EQ(rendered.ok() ? JoinedText(*rendered) : "", expected["text"].get<std::string>());
      continue;
    }
    ASSERT_FALSE(rendered.ok()) << "rendered " << JoinedText(*rendered);
    EXPECT_EQ(rendered.status().code(), Code::kInvalidArgument);
    if (expected.contains("raise")) {
      EXPECT_EQ(rendered.status().message(), expected["raise"].get<std::string>());
    } else {
      EXPECT_NE(rendered.status().message().find("chat template, line "), std::string::npos);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Golden, EveryTemplate, testing::Range<std::size_t>(0, 13),
                         [](const auto& index) {
                           static const Json golden = GoldenJson("templates/expected.json");
                           std::string name =
                               golden["templates"][index.param]["file"].template get<std::string>();
                           for (char& c : name) {
                             if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
                           }
                           return name;
                         });

}  // namespace
}  // namespace bramble::model::text
