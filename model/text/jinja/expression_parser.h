#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "model/text/jinja/ast.h"
#include "model/text/jinja/token_reader.h"

namespace bramble::model::text::jinja {

// Reads Jinja's expressions, with its precedence (pallets/jinja, parser.py). Errors go to the
// reader; what is returned after one may be null.
class ExpressionParser {
 public:
  explicit ExpressionParser(TokenReader& tokens) : tokens_(tokens) {}

  ExpressionPtr Parse() { return Condition(); }
  // `a, b`: a tuple; `a`: just that. `with_condition`: whether `x if y` may stand in it.
  ExpressionPtr ParseTuple(bool with_condition);
  // What `for` and `set` give values to: a name, a tuple of names, or, if allowed, namespace.name.
  ExpressionPtr ParseTarget(bool with_attribute);
  // `| name(...)` and so on behind `operand`, which is null for the text of a block.
  ExpressionPtr ParseFilters(ExpressionPtr operand);
  // `name(...)` of {% filter %}, and what is piped behind it.
  ExpressionPtr ParseFilterBlock();

 private:
  class Nesting;
  using Kind = Expression::Kind;

  ExpressionPtr Make(Kind kind, std::vector<ExpressionPtr> operands, std::string name = {});
  template <typename... Rest>
  ExpressionPtr MakeOf(Kind kind, ExpressionPtr first, Rest... rest) {
    std::vector<ExpressionPtr> operands;
    operands.push_back(std::move(first));
    (operands.push_back(std::move(rest)), ...);
    return Make(kind, std::move(operands));
  }
  void SetDepth(Expression& expression);
  ExpressionPtr Constant(Value value);

  ExpressionPtr Condition();
  ExpressionPtr Or();
  ExpressionPtr And();
  ExpressionPtr Not();
  ExpressionPtr Compare();
  ExpressionPtr Sum();
  ExpressionPtr Concat();
  ExpressionPtr Product();
  ExpressionPtr Power();
  ExpressionPtr Unary(bool with_filters);
  ExpressionPtr Primary();
  ExpressionPtr NameOrConstant();
  ExpressionPtr Number();
  ExpressionPtr Postfix(ExpressionPtr operand);
  ExpressionPtr Subscript(ExpressionPtr operand);
  ExpressionPtr Call(ExpressionPtr operand);
  ExpressionPtr Filter(ExpressionPtr operand);
  ExpressionPtr Test(ExpressionPtr operand);
  ExpressionPtr ListLiteral();
  ExpressionPtr DictLiteral();
  std::string DottedName();
  std::vector<Argument> Arguments();

  TokenReader& tokens_;
  std::uint32_t nesting_ = 0;
};

}  // namespace bramble::model::text::jinja
