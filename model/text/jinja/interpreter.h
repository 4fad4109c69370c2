#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "model/text/jinja/ast.h"
#include "model/text/jinja/context.h"

namespace bramble::model::text::jinja {

// Runs a template once. One thread.
class Interpreter {
 public:
  // `variables`: what the template can see. `output_bytes`: how much it may print. All must outlive
  // this.
  Interpreter(Context& context, std::unordered_map<std::string, Value> variables,
              std::size_t output_bytes);

  // The output. Worthless if context.failed().
  MarkedString Run(const Body& body);

 private:
  enum class Flow { kNext, kBreak, kContinue };
  using Scope = std::unordered_map<std::string, Value>;
  class Nesting;

  // statements (interpreter.cc)
  Flow Execute(const Body& body);
  Flow Execute(const Statement& statement);
  Flow If(const Statement& statement);
  Flow For(const Statement& statement);
  void With(const Statement& statement);
  void Print(const Value& value);
  void Print(const MarkedString& text);
  MarkedString Capture(const Body& body);
  std::vector<Value> LoopItems(const Statement& statement);
  void Assign(const Expression& target, Value value);
  void SetVariable(const std::string& name, Value value);

  // expressions (evaluate.cc)
  Value Evaluate(const Expression& expression);
  Value EvaluateOr(const ExpressionPtr& expression, Value if_missing);
  Value Operate(const Expression& expression);
  Value Name(const std::string& name);
  Value CompareChain(const Expression& expression);
  Value Concat(const Expression& expression);
  Value ListLiteral(const Expression& expression);
  Value DictLiteral(const Expression& expression);
  Value Filter(const Expression& expression, const Value& input);
  Value Filtered(const Expression* filters, Value text);
  Value Test(const Expression& expression);
  Value Call(const Expression& expression);
  Value CallMacro(const Statement& macro, const CallArguments& arguments);
  Value CallMethod(const Method& method, const CallArguments& arguments);
  CallArguments Arguments(const Expression& expression);
  bool BindMacro(const Statement& macro, const CallArguments& arguments, Scope& scope);

  Context& context_;
  std::vector<Scope> scopes_;  // [0]: the whole template's
  std::size_t first_visible_ =
      1;  // scopes from here on, and the first, are visible: a macro does not see its caller's
  MarkedString out_;
  std::size_t printed_ = 0;  // bytes in out_ and in what captures have set aside
  std::size_t output_bytes_;
  std::uint32_t nesting_ = 0;
  std::uint32_t loop_depth_ = 0;
};

}  // namespace bramble::model::text::jinja
