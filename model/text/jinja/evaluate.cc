#include <utility>

#include "model/files/quote.h"
#include "model/text/jinja/arithmetic.h"
#include "model/text/jinja/builtins.h"
#include "model/text/jinja/interpreter.h"
#include "model/text/jinja/nesting.h"
#include "model/text/jinja/print.h"

namespace bramble::model::text::jinja {
namespace {

using Kind = Expression::Kind;

bool IsNamespace(const Value& value) { return value.As<std::shared_ptr<Namespace>>() != nullptr; }

}  // namespace

Value Interpreter::Evaluate(const Expression& expression) {
  const Nesting nesting(*this);
  context_.set_line(expression.line);
  if (context_.failed() || !context_.budget().Step()) return {};
  const auto& operands = expression.operands;
  switch (expression.kind) {
    case Kind::kConstant:
      return expression.constant;
    case Kind::kName:
      return Name(expression.name);
    case Kind::kAttribute:
      return GetAttribute(context_, Evaluate(*operands[0]), expression.name);
    case Kind::kFilter:
      return Filter(expression, operands[0] == nullptr ? Value() : Evaluate(*operands[0]));
    case Kind::kTest:
      return Test(expression);
    case Kind::kCall:
      return Call(expression);
    case Kind::kList:
    case Kind::kTuple:
      return ListLiteral(expression);
    case Kind::kDict:
      return DictLiteral(expression);
    default:
      return Operate(expression);
  }
}

Value Interpreter::EvaluateOr(const ExpressionPtr& expression, Value if_missing) {
  return expression == nullptr ? std::move(if_missing) : Evaluate(*expression);
}

Value Interpreter::Operate(const Expression& expression) {
  const auto& operands = expression.operands;
  switch (expression.kind) {
    case Kind::kItem: {
      const Value object = Evaluate(*operands[0]);
      return GetItem(context_, object, Evaluate(*operands[1]));
    }
    case Kind::kSlice: {
      const Value object = Evaluate(*operands[0]);
      const Value first = EvaluateOr(operands[1], {});
      const Value behind = EvaluateOr(operands[2], {});
      return Slice(context_, object, first, behind, EvaluateOr(operands[3], {}));
    }
    case Kind::kNot:
      return Value(!Evaluate(*operands[0]).IsTrue());
    case Kind::kNegate:
      return Negate(context_, Evaluate(*operands[0]));
    case Kind::kPositive: {
      Value value = Evaluate(*operands[0]);
      double number = 0;
      return value.AsNumber(number) ? value
                                    : context_.Fail("'+' is not known for ", value.TypeName());
    }
    case Kind::kBinary: {
      Value left = Evaluate(*operands[0]);
      const Value right = Evaluate(*operands[1]);
      context_.set_line(expression.line);
      return context_.failed()
                 ? Value()
                 : Calculate(context_, expression.operators[0], std::move(left), right);
    }
    case Kind::kCompare:
      return CompareChain(expression);
    case Kind::kAnd: {
      Value left = Evaluate(*operands[0]);
      return left.IsTrue() ? Evaluate(*operands[1]) : left;
    }
    case Kind::kOr: {
      Value left = Evaluate(*operands[0]);
      return left.IsTrue() ? left : Evaluate(*operands[1]);
    }
    case Kind::kConcat:
      return Concat(expression);
    case Kind::kCondition:
      if (Evaluate(*operands[1]).IsTrue()) return Evaluate(*operands[0]);
      return EvaluateOr(operands[2], Value(Undefined{"the value of an 'if' without 'else'"}));
    default:
      CHECK(false);
  }
  return {};
}

Value Interpreter::Name(const std::string& name) {
  for (std::size_t i = scopes_.size(); i-- > 0;) {
    if (i < first_visible_) i = 0;
    const auto found = scopes_[i].find(name);
    if (found != scopes_[i].end()) return found->second;
  }
  if (FindFunction(name) != nullptr) return Value(Function{name});
  return Value(Undefined{std::string("'").append(name).append("'")});
}

Value Interpreter::CompareChain(const Expression& expression) {
  Value left = Evaluate(*expression.operands[0]);
  for (std::size_t i = 0; i < expression.operators.size(); ++i) {
    Value right = Evaluate(*expression.operands[i + 1]);
    context_.set_line(expression.line);
    if (context_.failed() || !Compare(context_, expression.operators[i], left, right))
      return Value(false);
    left = std::move(right);
  }
  return Value(true);
}

Value Interpreter::Concat(const Expression& expression) {
  MarkedString joined;
  for (const ExpressionPtr& operand : expression.operands) {
    const Value value = Evaluate(*operand);
    if (context_.failed()) return {};
    const MarkedString text = ToText(context_, value);
    if (!context_.budget().Bytes(text.size())) return {};
    joined.Append(text);
  }
  return context_.NewText(std::move(joined));
}

Value Interpreter::ListLiteral(const Expression& expression) {
  std::vector<Value> items;
  items.reserve(expression.operands.size());
  for (const ExpressionPtr& operand : expression.operands) {
    items.push_back(Evaluate(*operand));
    if (IsNamespace(items.back())) return context_.Fail("a namespace cannot lie in another value");
  }
  return context_.NewList(std::move(items), expression.kind == Kind::kTuple);
}

Value Interpreter::DictLiteral(const Expression& expression) {
  Dict dict;
  for (std::size_t i = 0; i + 1 < expression.operands.size(); i += 2) {
    const Value key = Evaluate(*expression.operands[i]);
    Value value = Evaluate(*expression.operands[i + 1]);
    if (context_.failed() || !context_.budget().Bytes(key.Bytes())) return {};
    if (IsNamespace(value)) return context_.Fail("a namespace cannot lie in another value");
    if (!dict.Set(key, std::move(value)))
      return context_.Fail("a value of type ", key.TypeName(), " cannot be a key");
  }
  return context_.NewDict(std::move(dict));
}

Value Interpreter::Filter(const Expression& expression, const Value& input) {
  const Builtin* filter = FindFilter(expression.name);
  if (filter == nullptr)
    return context_.Fail("the filter ", files::Quote(expression.name), " is not known");
  const CallArguments arguments = Arguments(expression);
  context_.set_line(expression.line);
  if (context_.failed()) return {};
  if (IsNamespace(input)) return context_.Fail("a namespace cannot be filtered");
  return jinja::Run(context_, *filter, "filter", input, arguments);
}

// The filters of {% filter %} and {% set %}: the innermost one has no operand, there the text goes
// in.
Value Interpreter::Filtered(const Expression* filters, Value text) {
  if (filters == nullptr || context_.failed()) return text;
  if (filters->kind != Kind::kFilter) return context_.Fail("only filters can stand here");
  return Filter(*filters, Filtered(filters->operands[0].get(), std::move(text)));
}

Value Interpreter::Test(const Expression& expression) {
  const Builtin* test = FindTest(expression.name);
  if (test == nullptr)
    return context_.Fail("the test ", files::Quote(expression.name), " is not known");
  const Value input = Evaluate(*expression.operands[0]);
  const CallArguments arguments = Arguments(expression);
  context_.set_line(expression.line);
  return context_.failed() ? Value() : jinja::Run(context_, *test, "test", input, arguments);
}

CallArguments Interpreter::Arguments(const Expression& expression) {
  CallArguments arguments;
  for (const Argument& argument : expression.arguments) {
    Value value = Evaluate(*argument.value);
    if (context_.failed()) break;
    if (argument.name.empty()) {
      arguments.positional.push_back(std::move(value));
    } else {
      arguments.named.emplace_back(argument.name, std::move(value));
    }
  }
  return arguments;
}

Value Interpreter::Call(const Expression& expression) {
  const Value callee = Evaluate(*expression.operands[0]);
  const CallArguments arguments = Arguments(expression);
  context_.set_line(expression.line);
  if (context_.failed()) return {};
  if (const Macro* macro = callee.As<Macro>()) return CallMacro(*macro->definition, arguments);
  if (const auto* method = callee.As<std::shared_ptr<const Method>>())
    return CallMethod(**method, arguments);
  if (const Function* function = callee.As<Function>()) {
    return jinja::Run(context_, *FindFunction(function->name), "function", {}, arguments);
  }
  if (const Undefined* missing = callee.As<Undefined>()) {
    const bool is_name =
        missing->name.starts_with("'") && missing->name.find(' ') == std::string::npos;
    return context_.Fail(missing->name, is_name ? " is not known" : "");
  }
  return context_.Fail("a value of type ", callee.TypeName(), " cannot be called");
}

Value Interpreter::CallMethod(const Method& method, const CallArguments& arguments) {
  if (const auto* loop = method.object.As<std::shared_ptr<const Loop>>()) {  // loop.cycle
    if (arguments.positional.empty()) return context_.Fail("loop.cycle needs values");
    return arguments.positional[(*loop)->index0 % arguments.positional.size()];
  }
  const Builtin* row = method.object.AsText() != nullptr   ? FindTextMethod(method.name)
                       : method.object.AsDict() != nullptr ? FindDictMethod(method.name)
                                                           : FindListMethod(method.name);
  CHECK(row != nullptr);  // GetAttribute makes methods of rows only
  return jinja::Run(context_, *row, "method", method.object, arguments);
}

bool Interpreter::BindMacro(const Statement& macro, const CallArguments& arguments, Scope& scope) {
  if (arguments.positional.size() > macro.parameters.size()) {
    context_.Fail("the macro '", macro.text, "' takes ", macro.parameters.size(),
                  " arguments, not ", arguments.positional.size());
    return false;
  }
  for (std::size_t i = 0; i < arguments.positional.size(); ++i)
    scope[macro.parameters[i].name] = arguments.positional[i];
  for (const auto& [name, value] : arguments.named) {
    bool known = false;
    for (const Parameter& parameter : macro.parameters) known = known || parameter.name == name;
    if (!known || scope.count(name) > 0) {
      context_.Fail("the macro '", macro.text, "' ", known ? "got twice" : "does not know",
                    " the argument '", name, "'");
      return false;
    }
    scope[name] = value;
  }
  return true;
}

Value Interpreter::CallMacro(const Statement& macro, const CallArguments& arguments) {
  const Nesting nesting(*this);
  Scope scope;
  if (context_.failed() || !BindMacro(macro, arguments, scope)) return {};
  const std::size_t visible = std::exchange(first_visible_, scopes_.size());
  const std::uint32_t loops = std::exchange(loop_depth_, 0);
  scopes_.push_back(std::move(scope));
  for (const Parameter& parameter : macro.parameters) {
    if (scopes_.back().count(parameter.name) > 0) continue;
    SetVariable(parameter.name,
                EvaluateOr(parameter.value,
                           Value(Undefined{std::string("'").append(parameter.name).append("'")})));
  }
  MarkedString text = Capture(macro.body);
  scopes_.pop_back();
  first_visible_ = visible;
  loop_depth_ = loops;
  return context_.NewText(std::move(text));
}

}  // namespace bramble::model::text::jinja
