#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/status.h"
#include "coordinator/api/http.h"

namespace bramble::coordinator {

// What went wrong with a request, in OpenAI's shape:
// {"error": {"message", "type", "param", "code"}}.
struct ApiError {
  unsigned status = 400;
  std::string message;
  std::string param;         // the field at fault; empty: null
  std::string code;          // a word that programs match on; empty: null
  unsigned retry_after = 0;  // seconds; 0: no such header
  std::vector<HttpHeader> headers;
};

// A field of the request is wrong: 400.
ApiError BadField(std::string param, std::string message, std::string code = {});

// What the generator or the model says, as a client should hear it. Clients try again by themselves
// on 429 and from 500 upward.
ApiError FromStatus(const Status& status);

// The error's `type`, which follows from the status.
std::string_view ErrorType(unsigned status);

std::string ErrorJson(const ApiError& error);
HttpReply ErrorReply(const ApiError& error);

}  // namespace bramble::coordinator
