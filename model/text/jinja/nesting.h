#pragma once

#include "model/text/jinja/interpreter.h"

namespace bramble::model::text::jinja {

// Counts how deep our own calls lie in each other: a template cannot use up the stack.
class Interpreter::Nesting {
 public:
  explicit Nesting(Interpreter& interpreter) : interpreter_(interpreter) {
    if (++interpreter_.nesting_ > kMost)
      interpreter_.context_.Fail("macros, blocks and expressions lie too deep in each other");
  }
  ~Nesting() { --interpreter_.nesting_; }
  Nesting(const Nesting&) = delete;
  Nesting& operator=(const Nesting&) = delete;

 private:
  // Each level takes under 1 KiB of stack. Real templates stay under 100.
  static constexpr std::uint32_t kMost = 1000;
  Interpreter& interpreter_;
};

}  // namespace bramble::model::text::jinja
