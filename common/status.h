#pragma once

#include <optional>
#include <sstream>
#include <string>
#include <utility>

#include "common/check.h"

namespace bramble {

// gRPC's codes, so that a status crosses the wire unchanged
// (https://github.com/grpc/grpc/blob/master/doc/statuscodes.md).
enum class Code {
  kOk = 0,
  kCancelled = 1,
  kUnknown = 2,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kAborted = 10,
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kDataLoss = 15,
  kUnauthenticated = 16,
};

// "INVALID_ARGUMENT", as gRPC spells it.
const char* CodeName(Code code);

// What became of something that can fail for reasons outside of our code: a file, a request, a
// peer, a setting. The message says what, where, why and what to do, for a person. A value; thread
// safety of a value.
class [[nodiscard]] Status {
 public:
  Status() = default;
  // Requires `code` != kOk.
  Status(Code code, std::string message) : code_(code), message_(std::move(message)) {
    CHECK(code != Code::kOk);
  }

  bool ok() const { return code_ == Code::kOk; }
  Code code() const { return code_; }
  const std::string& message() const { return message_; }

  // The same code with `context` and ": " in front of the message. An ok status stays ok.
  Status WithContext(const std::string& context) const;

 private:
  Code code_ = Code::kOk;
  std::string message_;
};

// A value, or the status that says why there is none.
template <typename T>
class [[nodiscard]] Result {
 public:
  // Implicit, so that `return value;` and `return Invalid(...);` read as they do.
  Result(T value) : value_(std::move(value)) {}  // NOLINT(google-explicit-constructor): see above
  // NOLINTNEXTLINE(google-explicit-constructor): see above
  Result(Status status) : status_(std::move(status)) { CHECK(!status_.ok()); }

  bool ok() const { return value_.has_value(); }
  const Status& status() const { return status_; }

  // Require ok().
  T& operator*() & {
    CHECK(ok());
    return *value_;
  }
  const T& operator*() const& {
    CHECK(ok());
    return *value_;
  }
  T&& operator*() && {
    CHECK(ok());
    return std::move(*value_);
  }
  T* operator->() {
    CHECK(ok());
    return &*value_;
  }
  const T* operator->() const {
    CHECK(ok());
    return &*value_;
  }

 private:
  std::optional<T> value_;
  Status status_;
};

namespace internal {
template <typename... Parts>
Status MakeStatus(Code code, const Parts&... parts) {
  std::ostringstream text;
  (text << ... << parts);
  return {code, std::move(text).str()};
}
}  // namespace internal

// Invalid("tensor '", name, "' ends at byte ", end): a status of that code with the parts joined.
template <typename... Parts>
Status Invalid(const Parts&... parts) {
  return internal::MakeStatus(Code::kInvalidArgument, parts...);
}
template <typename... Parts>
Status NotFound(const Parts&... parts) {
  return internal::MakeStatus(Code::kNotFound, parts...);
}
template <typename... Parts>
Status Exhausted(const Parts&... parts) {
  return internal::MakeStatus(Code::kResourceExhausted, parts...);
}
template <typename... Parts>
Status Unimplemented(const Parts&... parts) {
  return internal::MakeStatus(Code::kUnimplemented, parts...);
}
template <typename... Parts>
Status Unavailable(const Parts&... parts) {
  return internal::MakeStatus(Code::kUnavailable, parts...);
}
template <typename... Parts>
Status Denied(const Parts&... parts) {
  return internal::MakeStatus(Code::kPermissionDenied, parts...);
}
template <typename... Parts>
Status Failed(const Parts&... parts) {  // the state does not allow it
  return internal::MakeStatus(Code::kFailedPrecondition, parts...);
}
template <typename... Parts>
Status Internal(const Parts&... parts) {
  return internal::MakeStatus(Code::kInternal, parts...);
}
template <typename... Parts>
Status DataLoss(const Parts&... parts) {
  return internal::MakeStatus(Code::kDataLoss, parts...);
}
template <typename... Parts>
Status Unauthenticated(const Parts&... parts) {
  return internal::MakeStatus(Code::kUnauthenticated, parts...);
}
template <typename... Parts>
Status AlreadyExists(const Parts&... parts) {
  return internal::MakeStatus(Code::kAlreadyExists, parts...);
}
template <typename... Parts>
Status DeadlineExceeded(const Parts&... parts) {
  return internal::MakeStatus(Code::kDeadlineExceeded, parts...);
}

}  // namespace bramble

// Leaves the function with the status if it is not ok.
#define RETURN_IF_ERROR(expression)                                            \
  do {                                                                         \
    if (::bramble::Status bramble_status = (expression); !bramble_status.ok()) \
      return bramble_status;                                                   \
  } while (false)

// NOLINTBEGIN(bugprone-macro-parentheses): they declare names, which stand in no parentheses.
// ASSIGN_OR_RETURN(auto x, F()): the value of a Result, or leaves the function with its status.
#define ASSIGN_OR_RETURN(target, expression) \
  BRAMBLE_ASSIGN_OR_RETURN_(BRAMBLE_JOIN_(bramble_result_, __LINE__), target, expression)
#define BRAMBLE_ASSIGN_OR_RETURN_(name, target, expression) \
  auto name = (expression);                                 \
  if (!name.ok()) return name.status();                     \
  target = *std::move(name)
#define BRAMBLE_JOIN_(a, b) BRAMBLE_JOIN_INNER_(a, b)
#define BRAMBLE_JOIN_INNER_(a, b) a##b
// NOLINTEND(bugprone-macro-parentheses)
