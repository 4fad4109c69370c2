#include "model/text/messages.h"

#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "model/files/quote.h"

namespace bramble::model::text {
namespace {

using Json = nlohmann::ordered_json;

// A list of text parts as one text, as OpenAI's clients may send it.
Status JoinParts(const std::string& place, Json& content) {
  std::string text;
  for (std::size_t i = 0; i < content.size(); ++i) {
    const Json& part = content[i];
    const std::string here = place + "[" + std::to_string(i) + "]";
    if (i > 0) text += '\n';
    if (part.is_string()) {
      text += part.get_ref<const std::string&>();
      continue;
    }
    const auto type = part.is_object() ? part.find("type") : part.end();
    if (!part.is_object() || type == part.end() || !type->is_string()) {
      return Invalid(here, " must be an object with a type");
    }
    if (*type != "text") {
      return Invalid(here, ".type is ", files::Quote(type->get_ref<const std::string&>()),
                     ", this model takes 'text' only");
    }
    const auto words = part.find("text");
    if (words == part.end() || !words->is_string()) return Invalid(here, ".text must be a string");
    text += words->get_ref<const std::string&>();
  }
  content = std::move(text);
  return {};
}

Status NormalizeContent(const std::string& place, Json& message) {
  Json& content = message["content"];  // null where there was none
  if (content.is_null()) {
    content = "";
  } else if (content.is_array()) {
    return JoinParts(place + ".content", content);
  } else if (!content.is_string()) {
    return Invalid(place, ".content must be a string or an array of parts");
  }
  return {};
}

Status NormalizeArguments(const std::string& place, Json& function) {
  Json& arguments = function["arguments"];
  if (arguments.is_null() ||
      (arguments.is_string() && arguments.get_ref<const std::string&>().empty())) {
    arguments = Json::object();
  }
  if (!arguments.is_string()) return {};
  Json parsed =
      Json::parse(arguments.get_ref<const std::string&>(), nullptr, /*allow_exceptions=*/false);
  if (parsed.is_discarded()) return Invalid(place, ".arguments is not JSON");
  arguments = std::move(parsed);
  return {};
}

Status NormalizeToolCalls(const std::string& place, Json& message) {
  const auto calls = message.find("tool_calls");
  if (calls == message.end()) return {};
  if (calls->is_null() || (calls->is_array() && calls->empty())) {
    message.erase(calls);
    return {};
  }
  if (!calls->is_array()) return Invalid(place, ".tool_calls must be an array");
  for (std::size_t i = 0; i < calls->size(); ++i) {
    Json& call = (*calls)[i];
    const std::string here = place + ".tool_calls[" + std::to_string(i) + "]";
    if (!call.is_object()) return Invalid(here, " must be an object");
    const auto function = call.find("function");
    if (function == call.end() || !function->is_object())
      return Invalid(here, ".function must be an object");
    const auto name = function->find("name");
    if (name == function->end() || !name->is_string())
      return Invalid(here, ".function.name must be a string");
    RETURN_IF_ERROR(NormalizeArguments(here + ".function", *function));
  }
  return {};
}

Status NormalizeMessage(const std::string& place, Json& message) {
  if (!message.is_object()) return Invalid(place, " must be an object");
  const auto role = message.find("role");
  if (role == message.end() || !role->is_string()) return Invalid(place, ".role must be a string");
  if (*role == "developer") *role = "system";
  RETURN_IF_ERROR(NormalizeContent(place, message));
  RETURN_IF_ERROR(NormalizeToolCalls(place, message));
  // Templates read one name or the other.
  const auto reasoning = message.find("reasoning_content");
  if (reasoning != message.end() && !message.contains("thinking")) {
    Json thinking = *reasoning;
    message["thinking"] = std::move(thinking);
  }
  return {};
}

}  // namespace

Result<Json> NormalizeMessages(const Json& messages) {
  if (!messages.is_array()) return Invalid("messages must be an array");
  Json normal = messages;
  for (std::size_t i = 0; i < normal.size(); ++i) {
    RETURN_IF_ERROR(NormalizeMessage("messages[" + std::to_string(i) + "]", normal[i]));
  }
  return normal;
}

}  // namespace bramble::model::text
