// A chat template is a program by a stranger: whatever it says, rendering ends within its budget,
// and the stretches are UTF-8. The input is the template; up to the first zero byte, if there is
// one, with a user's text behind it.
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "common/check.h"
#include "model/text/chat_template.h"
#include "model/text/utf8.h"

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using bramble::model::text::ChatArguments;
  using bramble::model::text::ChatTemplate;
  using Json = nlohmann::ordered_json;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t zero = input.find('\0');
  const auto parsed = ChatTemplate::Parse(input.substr(0, zero));
  if (!parsed.ok()) return 0;
  const std::string text(zero == std::string_view::npos ? "Hi <b>" : input.substr(zero + 1));
  const Json messages = {
      {{"role", "system"}, {"content", text}},
      {{"role", "user"}, {"content", Json::array({{{"type", "text"}, {"text", text}}})}},
      {{"role", "assistant"},
       {"content", ""},
       {"tool_calls",
        {{{"function", {{"name", "f"}, {"arguments", {{"x", 1.5}, {"y", nullptr}}}}}}}}}};
  const Json tools = {
      {{"type", "function"}, {"function", {{"name", "f"}, {"parameters", {{"type", "object"}}}}}}};
  ChatArguments arguments;
  arguments.bos_token = "<s>";
  arguments.eos_token = "</s>";
  arguments.now.emplace();
  arguments.budget = {
      .steps = 100'000, .output_bytes = 1 << 20, .value_bytes = 4 << 20, .depth = 32};
  const auto rendered = (*parsed)->Render(messages, tools, arguments);
  if (!rendered.ok()) return 0;
  std::size_t bytes = 0;
  for (const auto& part : *rendered) {
    CHECK(bramble::model::text::IsUtf8(part.text) && !part.text.empty());
    bytes += part.text.size();
  }
  CHECK(bytes <= arguments.budget.output_bytes);
  return 0;
}
