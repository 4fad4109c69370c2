#pragma once

#include <grpcpp/support/status.h>

#include "common/status.h"

namespace bramble {

// The codes are the same numbers on both sides.
inline grpc::Status ToGrpc(const Status& status) {
  if (status.ok()) return grpc::Status::OK;
  return {static_cast<grpc::StatusCode>(status.code()), status.message()};
}

// A peer's status. A code that gRPC does not define becomes kUnknown.
inline Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return {};
  const int code = status.error_code();
  const bool known = code >= static_cast<int>(Code::kCancelled) &&
                     code <= static_cast<int>(Code::kUnauthenticated);
  return {known ? static_cast<Code>(code) : Code::kUnknown, status.error_message()};
}

}  // namespace bramble
