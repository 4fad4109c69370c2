#include "coordinator/api/errors.h"

#include <nlohmann/json.hpp>

namespace bramble::coordinator {

ApiError BadField(std::string param, std::string message, std::string code) {
  ApiError error;
  error.param = std::move(param);
  error.message = std::move(message);
  error.code = std::move(code);
  return error;
}

ApiError FromStatus(const Status& status) {
  ApiError error;
  error.message = status.message();
  switch (status.code()) {
    case Code::kInvalidArgument:
    case Code::kOutOfRange:
      error.status = 400;
      break;
    case Code::kUnimplemented:
      error.status = 400;
      error.code = "not_supported";
      break;
    case Code::kResourceExhausted:
      error.status = 503;
      error.code = "queue_full";
      error.retry_after = 2;
      break;
    case Code::kUnavailable:
    case Code::kCancelled:
    case Code::kAborted:
    case Code::kDeadlineExceeded:
      error.status = 503;
      error.code = "unavailable";
      error.retry_after = 1;
      break;
    default:
      error.status = 500;
      error.code = "internal_error";
      break;
  }
  return error;
}

std::string_view ErrorType(unsigned status) {
  switch (status) {
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 429:
      return "rate_limit_error";
    case 503:
      return "unavailable_error";
    default:
      return status < 500 ? "invalid_request_error" : "server_error";
  }
}

std::string ErrorJson(const ApiError& error) {
  const auto word = [](const std::string& text) {
    return text.empty() ? nlohmann::ordered_json(nullptr) : nlohmann::ordered_json(text);
  };
  const nlohmann::ordered_json body = {{"error",
                                        {{"message", error.message},
                                         {"type", ErrorType(error.status)},
                                         {"param", word(error.param)},
                                         {"code", word(error.code)}}}};
  // Messages may quote what a client sent.
  return body.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

HttpReply ErrorReply(const ApiError& error) {
  HttpReply reply;
  reply.status = error.status;
  reply.body = ErrorJson(error);
  reply.headers = error.headers;
  if (error.retry_after != 0) {
    reply.headers.push_back({"Retry-After", std::to_string(error.retry_after)});
  }
  return reply;
}

}  // namespace bramble::coordinator
