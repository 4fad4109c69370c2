#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/api/common_fields.h"

namespace bramble::coordinator {

struct Prompt {
  std::vector<std::uint32_t> ids;
  std::optional<std::string> text;  // as sent, if it was sent as text
};

// POST /v1/completions, read and checked.
struct CompletionRequest {
  CommonFields common;
  std::vector<Prompt> prompts;
  bool echo = false;
  std::optional<std::uint32_t> logprobs;  // 0: of the drawn ids only
};

// Prompts that are strings are encoded as they are: who writes a raw prompt writes its control
// tokens too.
std::optional<ApiError> ReadCompletionRequest(const Json& body, const ServedModel& model,
                                              CompletionRequest& out);

}  // namespace bramble::coordinator
