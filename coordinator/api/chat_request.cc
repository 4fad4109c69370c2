#include "coordinator/api/chat_request.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "common/escape.h"
#include "coordinator/api/joined.h"
#include "model/text/chat_template.h"
#include "model/text/messages.h"
#include "model/text/tokenizer.h"

namespace bramble::coordinator {
namespace {

constexpr std::array<std::string_view, 6> kRoles = {"system",    "developer", "user",
                                                    "assistant", "tool",      "function"};

void ReadTools(Fields& fields, Json& out) {
  const Json* tools = fields.Array("tools");
  bool wanted = true;
  if (const Json* choice = fields.Find("tool_choice")) {
    if (*choice == "none") {
      wanted = false;
    } else if (*choice != "auto") {
      fields.Fail(
          "tool_choice",
          Joined("of 'tool_choice' only 'none' and 'auto' are supported, it is ", Shown(*choice)),
          "not_supported");
    }
  }
  if (tools == nullptr || tools->empty() || !wanted) return;
  for (std::size_t i = 0; i < tools->size(); ++i) {
    const std::string place = Joined("tools[", i, "]");
    const Json& tool = (*tools)[i];
    if (!tool.is_object())
      return fields.Fail(place, Joined("'", place, "' must be an object, it is ", Shown(tool)));
    Fields inner(tool, place + ".");
    if (inner.Text("type").value_or("") != "function") {
      inner.Fail("type", "'" + place + ".type' must be 'function'");
    }
    if (const Json* function = inner.Object("function")) {
      Fields named(*function, place + ".function.");
      if (!named.Text("name")) named.Fail("name", "'" + place + ".function.name' must be a string");
      named.Object("parameters");
      inner.Take(named.error());
    } else {
      inner.Fail("function", "'" + place + ".function' must be an object");
    }
    if (inner.error()) return fields.Take(inner.error());
  }
  out = *tools;
}

void RefuseOldAndOther(Fields& fields) {
  for (const char* name : {"functions", "function_call", "chat_template", "audio"}) {
    if (fields.Find(name) != nullptr) {
      fields.Fail(name, Joined("'", name, "' is not supported"), "not_supported");
    }
  }
  if (const Json* modalities = fields.Array("modalities");
      modalities && *modalities != Json::array({"text"})) {
    fields.Fail("modalities", "of 'modalities' only [\"text\"] is supported", "not_supported");
  }
  if (fields.Bool("continue_final_message").value_or(false)) {
    fields.Fail("continue_final_message", "'continue_final_message' is not supported",
                "not_supported");
  }
}

}  // namespace

std::optional<ApiError> ReadMessages(Fields& fields, Json& out) {
  const Json* messages = fields.Array("messages");
  if (messages == nullptr) {
    fields.Fail("messages", "'messages' is missing: it must be an array of messages");
    return fields.error();
  }
  if (messages->empty())
    fields.Fail("messages", "'messages' is empty: at least one message is needed");
  for (std::size_t i = 0; i < messages->size() && !fields.error(); ++i) {
    const std::string place = Joined("messages[", i, "]");
    const Json& message = (*messages)[i];
    if (!message.is_object()) {
      fields.Fail(place, Joined("'", place, "' must be an object, it is ", Shown(message)));
      break;
    }
    Fields inner(message, place + ".");
    const auto role = inner.Text("role");
    if (!role) {
      inner.Fail("role", "'" + place + ".role' is missing");
    } else if (std::find(kRoles.begin(), kRoles.end(), *role) == kRoles.end()) {
      inner.Fail("role", Joined("'", place, ".role' is '", Printable(*role, 60),
                                "', it must be one of system, developer, user, assistant, tool"));
    } else if (inner.Find("content") == nullptr && inner.Find("tool_calls") == nullptr &&
               *role != "assistant") {
      inner.Fail("content", "'" + place + ".content' is missing");
    }
    fields.Take(inner.error());
  }
  if (fields.error()) return fields.error();
  Result<Json> normal = model::text::NormalizeMessages(*messages);
  if (!normal.ok()) {
    ApiError error = FromStatus(normal.status());
    // The message begins with the place, as "messages[2].content[0].type: ...".
    const std::string& text = normal.status().message();
    const std::size_t end = text.find_first_of(": ");
    error.param = text.rfind("messages", 0) == 0 ? text.substr(0, end) : "messages";
    return error;
  }
  out = *std::move(normal);
  return std::nullopt;
}

std::optional<ApiError> ReadChatRequest(const Json& body, const ServedModel& model,
                                        ChatRequest& out) {
  Fields fields(body);
  out.common = ReadCommonFields(fields, model);
  ReadTools(fields, out.tools);
  RefuseOldAndOther(fields);
  if (const Json* variables = fields.Object("chat_template_kwargs"))
    out.template_variables = *variables;
  out.add_generation_prompt = fields.Bool("add_generation_prompt").value_or(true);
  out.logprobs = fields.Bool("logprobs").value_or(false);
  if (const auto top = fields.Integer("top_logprobs", 0, 20)) {
    if (*top > 0 && !out.logprobs)
      fields.Fail("top_logprobs", "'top_logprobs' needs 'logprobs': true");
    out.top_logprobs = static_cast<std::uint32_t>(*top);
  }
  if (out.common.max_tokens == 0U) fields.Fail("max_tokens", "'max_tokens' must be at least 1");
  if (fields.error()) return fields.error();
  return ReadMessages(fields, out.messages);
}

std::optional<ApiError> EncodeChat(const Json& messages, const Json& tools, const Json& variables,
                                   bool add_generation_prompt, const ServedModel& model,
                                   std::vector<std::uint32_t>& ids) {
  if (model.tokenizer == nullptr || model.chat_template == nullptr) {
    return BadField({},
                    "the model '" + model.name + "' has no " +
                        (model.tokenizer == nullptr ? "tokenizer" : "chat template") +
                        " that can be used: chats need one; use /v1/completions",
                    "not_supported");
  }
  model::text::ChatArguments arguments;
  arguments.add_generation_prompt = add_generation_prompt;
  const auto spelling = [&](std::optional<std::uint32_t> id) {
    return id ? std::string(model.tokenizer->Spelling(*id)) : std::string();
  };
  arguments.bos_token = spelling(model.tokenizer->bos());
  arguments.eos_token = spelling(model.tokenizer->eos());
  if (!variables.is_null()) arguments.variables = &variables;
  const auto parts = model.chat_template->Render(messages, tools, arguments);
  if (!parts.ok()) {
    ApiError error = FromStatus(parts.status());
    // Over the template's budget is the request's fault too.
    error.status = 400;
    error.retry_after = 0;
    error.code.clear();
    error.param = "messages";
    return error;
  }
  auto encoded = model.tokenizer->EncodeMarked(*parts);
  if (!encoded.ok()) {
    ApiError error = FromStatus(encoded.status());
    error.param = "messages";
    return error;
  }
  ids = *std::move(encoded);
  return std::nullopt;
}

}  // namespace bramble::coordinator
