#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "coordinator/api/common_fields.h"

namespace bramble::coordinator {

// POST /v1/chat/completions, read and checked. Tools reach the model through its template; an
// answer that calls one is returned as the text that the model wrote.
struct ChatRequest {
  CommonFields common;
  Json messages;            // normalized for templates
  Json tools;               // an array, or null
  Json template_variables;  // chat_template_kwargs: an object, or null
  bool add_generation_prompt = true;
  bool logprobs = false;
  std::uint32_t top_logprobs = 0;
};

std::optional<ApiError> ReadChatRequest(const Json& body, const ServedModel& model,
                                        ChatRequest& out);

// `messages` as templates want them; the error names the place.
std::optional<ApiError> ReadMessages(Fields& fields, Json& out);

// The template's text of the chat as ids. What a client wrote never becomes a control token.
std::optional<ApiError> EncodeChat(const Json& messages, const Json& tools, const Json& variables,
                                   bool add_generation_prompt, const ServedModel& model,
                                   std::vector<std::uint32_t>& ids);

}  // namespace bramble::coordinator
