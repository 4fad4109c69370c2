#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/status.h"
#include "model/text/jinja/lexer.h"

namespace bramble::model::text::jinja {

// Walks over the tokens of a template, and keeps the first error: after it every question is
// answered as at the end of the template, so that a parser need not ask after every step. One
// thread.
class TokenReader {
 public:
  // Requires that the last token is kEnd.
  explicit TokenReader(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  const Token& Current() const { return status_.ok() ? tokens_[at_] : tokens_.back(); }
  const Token& Following() const {
    return status_.ok() && at_ + 1 < tokens_.size() ? tokens_[at_ + 1] : tokens_.back();
  }
  bool Is(Token::Kind kind) const { return Current().kind == kind; }
  bool IsName(std::string_view name) const {
    return Is(Token::Kind::kName) && Current().text == name;
  }
  bool IsOperator(std::string_view text) const {
    return Is(Token::Kind::kOperator) && Current().text == text;
  }
  std::uint32_t line() const { return Current().line; }

  Token Take() {
    Token token = Current();
    if (!Is(Token::Kind::kEnd)) ++at_;
    return token;
  }
  // Takes it if it is there.
  bool SkipName(std::string_view name) { return IsName(name) && Skip(); }
  bool SkipOperator(std::string_view text) { return IsOperator(text) && Skip(); }

  void ExpectOperator(std::string_view text) {
    if (!SkipOperator(text)) Fail("'", text, "' is missing in front of ", Describe(Current()));
  }
  void ExpectName(std::string_view name) {
    if (!SkipName(name)) Fail("'", name, "' is missing in front of ", Describe(Current()));
  }
  void Expect(Token::Kind kind, std::string_view what) {
    if (Is(kind)) {
      Skip();
    } else {
      Fail(what, " is missing in front of ", Describe(Current()));
    }
  }
  // A name that is given to something.
  std::string TakeName() {
    if (!Is(Token::Kind::kName)) Fail("a name is missing in front of ", Describe(Current()));
    return Take().text;
  }

  // Both keep only the first error.
  template <typename... Parts>
  void Fail(const Parts&... parts) {
    if (status_.ok()) status_ = Invalid("chat template, line ", line(), ": ", parts...);
  }
  template <typename... Parts>
  void FailUnknown(const Parts&... parts) {
    if (status_.ok()) status_ = Unimplemented("chat template, line ", line(), ": ", parts...);
  }
  bool failed() const { return !status_.ok(); }
  const Status& status() const { return status_; }

  // For messages: "'endfor'", "the end of the tag".
  static std::string Describe(const Token& token);

 private:
  bool Skip() {
    ++at_;
    return true;
  }

  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  Status status_;
};

}  // namespace bramble::model::text::jinja
