#pragma once

#include <cstdint>
#include <ctime>
#include <string>
#include <utility>
#include <vector>

#include "common/status.h"
#include "model/text/jinja/budget.h"
#include "model/text/jinja/value.h"

namespace bramble::model::text::jinja {

// What a rendering shares with its filters, tests and functions: its means and its first error.
// After an error every result is undefined and worthless; loops ask failed(). One rendering, one
// thread.
class Context {
 public:
  Context(std::uint64_t steps, std::size_t value_bytes, std::uint32_t depth, std::tm now)
      : budget_(steps, value_bytes), depth_(depth), now_(now) {}

  // Keeps the first error, with the line in front; returns undefined, so that `return
  // context.Fail(...)` reads well.
  template <typename... Parts>
  Value Fail(const Parts&... parts) {
    if (status_.ok() && !budget_.exhausted())
      status_ = Invalid("chat template, line ", line_, ": ", parts...);
    return {};
  }
  // The template's own refusal: its words reach the client unchanged.
  Value Raise(const std::string& message) {
    if (status_.ok()) status_ = Status(Code::kInvalidArgument, message);
    return {};
  }
  bool failed() const { return !status_.ok() || budget_.exhausted(); }
  Status status() const {
    if (!status_.ok() || !budget_.exhausted()) return status_;
    return Exhausted("chat template, line ", line_,
                     ": the template used up its budget of steps or memory");
  }

  // Values that are paid for. Undefined when the budget is used up, or when lists lie too deep in
  // each other.
  Value NewText(MarkedString text) {
    if (!budget_.Bytes(sizeof(MarkedString) + text.size())) return {};
    return MakeText(std::move(text));
  }
  Value NewText(std::string_view bytes, bool trusted) {
    return NewText(MarkedString(bytes, trusted));
  }
  Value NewList(std::vector<Value> items, bool is_tuple = false) {
    return Checked(MakeList(std::move(items), is_tuple));
  }
  Value NewDict(Dict dict) { return Checked(MakeDict(std::move(dict))); }

  Budget& budget() { return budget_; }
  std::uint32_t depth_limit() const { return depth_; }
  const std::tm& now() const { return now_; }
  void set_line(std::uint32_t line) {
    if (!failed()) line_ = line;
  }

 private:
  Value Checked(Value value) {
    if (value.Depth() > depth_)
      return Fail("lists or dicts lie more than ", depth_, " deep in each other");
    if (!budget_.Bytes(value.Bytes())) return {};
    return value;
  }

  Budget budget_;
  std::uint32_t depth_;
  std::tm now_;
  Status status_;
  std::uint32_t line_ = 1;
};

// The arguments of a call.
struct CallArguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

}  // namespace bramble::model::text::jinja
