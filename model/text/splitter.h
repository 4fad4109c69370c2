#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"

namespace bramble::model::text {

// Cuts text into parts by expressions (PCRE2, with Unicode classes), applied in order: each cuts
// every part into its matches and the text between them, and nothing is lost: the parts, joined,
// are the text. Immutable; any thread.
class Splitter {
 public:
  // InvalidArgument names the expression that does not compile and the place in it.
  static Result<Splitter> Create(const std::vector<std::string>& expressions);

  Splitter(Splitter&&) noexcept;
  Splitter& operator=(Splitter&&) noexcept;
  Splitter(const Splitter&) = delete;
  Splitter& operator=(const Splitter&) = delete;
  ~Splitter();

  // Appends the parts of `text`, which must be valid UTF-8, to `parts`; empty parts are left out.
  // ResourceExhausted: an expression ran into its limits.
  Status Split(std::string_view text, std::vector<std::string_view>& parts) const;

 private:
  struct Expression;
  class Matcher;
  Splitter();

  std::vector<Expression> expressions_;
};

}  // namespace bramble::model::text
