#pragma once

#include <nlohmann/json_fwd.hpp>

#include "common/status.h"
#include "model/text/chat_template.h"

namespace bramble::model::text {

// OpenAI's `messages` as templates expect them:
//   tool_calls[].function.arguments: a string of JSON becomes its value, missing or empty becomes
//   {}; an empty or null tool_calls is dropped; content null or missing becomes ""; content as a
//   list of text parts becomes one string, joined by newlines (the parts that are not text: refused
//   by name); the role "developer" becomes "system".
// InvalidArgument names the place as OpenAI's clients know it ("messages[2].content[0].type").
// Anything else is kept, in its order.
Result<nlohmann::ordered_json> NormalizeMessages(const nlohmann::ordered_json& messages);

}  // namespace bramble::model::text
