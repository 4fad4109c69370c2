#include <algorithm>
#include <charconv>
#include <utility>

#include "model/text/jinja/expression_parser.h"

// What operators stand between: constants, names, literals, and what is written behind a value
// (calls, subscripts, filters, tests).
namespace bramble::model::text::jinja {

ExpressionPtr ExpressionParser::Primary() {
  switch (tokens_.Current().kind) {
    case Token::Kind::kName:
      return NameOrConstant();
    case Token::Kind::kString: {
      std::string text;
      while (tokens_.Is(Token::Kind::kString)) text += tokens_.Take().text;
      return Constant(MakeText(text, true));
    }
    case Token::Kind::kInteger:
    case Token::Kind::kFloat:
      return Number();
    default:
      break;
  }
  if (tokens_.SkipOperator("(")) {
    if (tokens_.SkipOperator(")")) return Make(Kind::kTuple, {});
    ExpressionPtr value = ParseTuple(true);
    tokens_.ExpectOperator(")");
    return value;
  }
  if (tokens_.SkipOperator("[")) return ListLiteral();
  if (tokens_.SkipOperator("{")) return DictLiteral();
  tokens_.Fail("a value is missing in front of ", TokenReader::Describe(tokens_.Current()));
  return nullptr;
}

ExpressionPtr ExpressionParser::NameOrConstant() {
  std::string name = tokens_.Take().text;
  if (name == "true" || name == "True") return Constant(Value(true));
  if (name == "false" || name == "False") return Constant(Value(false));
  if (name == "none" || name == "None") return Constant(Value(None{}));
  return Make(Kind::kName, {}, std::move(name));
}

ExpressionPtr ExpressionParser::Number() {
  const Token token = tokens_.Take();
  const char* end = token.text.data() + token.text.size();
  if (token.kind == Token::Kind::kInteger) {
    std::int64_t whole = 0;
    const auto read = std::from_chars(token.text.data(), end, whole);
    if (read.ec != std::errc() || read.ptr != end)
      tokens_.Fail("the number ", token.text.substr(0, 40), " is too large");
    return Constant(Value(whole));
  }
  double real = 0;
  const auto read = std::from_chars(token.text.data(), end, real);
  if (read.ec != std::errc() || read.ptr != end)
    tokens_.Fail("the number ", token.text.substr(0, 40), " is too large");
  return Constant(Value(real));
}

ExpressionPtr ExpressionParser::Postfix(ExpressionPtr operand) {
  while (!tokens_.failed()) {
    if (tokens_.SkipOperator(".")) {
      if (tokens_.Is(Token::Kind::kInteger)) {  // x.0 is x[0]
        operand = MakeOf(Kind::kItem, std::move(operand), Number());
        continue;
      }
      std::string name = tokens_.TakeName();
      operand = MakeOf(Kind::kAttribute, std::move(operand));
      operand->name = std::move(name);
    } else if (tokens_.SkipOperator("[")) {
      operand = Subscript(std::move(operand));
    } else if (tokens_.IsOperator("(")) {
      operand = Call(std::move(operand));
    } else {
      break;
    }
  }
  return operand;
}

ExpressionPtr ExpressionParser::Subscript(ExpressionPtr operand) {
  ExpressionPtr parts[3];  // first, behind the last, step
  std::size_t count = 0;
  bool is_slice = false;
  while (!tokens_.failed() && !tokens_.IsOperator("]")) {
    if (tokens_.SkipOperator(":")) {
      is_slice = true;
      if (++count > 2) tokens_.Fail("a slice has more than three parts");
    } else {
      if (parts[count] != nullptr)
        tokens_.Fail("']' is missing in front of ", TokenReader::Describe(tokens_.Current()));
      if (!tokens_.failed()) parts[count] = Condition();
    }
  }
  tokens_.ExpectOperator("]");
  if (!is_slice && parts[0] == nullptr) tokens_.Fail("there is nothing between '[' and ']'");
  if (!is_slice) return MakeOf(Kind::kItem, std::move(operand), std::move(parts[0]));
  return MakeOf(Kind::kSlice, std::move(operand), std::move(parts[0]), std::move(parts[1]),
                std::move(parts[2]));
}

std::vector<Argument> ExpressionParser::Arguments() {
  std::vector<Argument> arguments;
  tokens_.ExpectOperator("(");
  while (!tokens_.failed() && !tokens_.IsOperator(")")) {
    if (tokens_.IsOperator("*") || tokens_.IsOperator("**"))
      tokens_.FailUnknown("arguments by '*' are not known");
    Argument argument;
    if (tokens_.Is(Token::Kind::kName) && tokens_.Following().kind == Token::Kind::kOperator &&
        tokens_.Following().text == "=") {
      argument.name = tokens_.Take().text;
      tokens_.Take();
    } else if (!arguments.empty() && !arguments.back().name.empty()) {
      tokens_.Fail("an argument without a name stands behind one with a name");
    }
    argument.value = Condition();
    arguments.push_back(std::move(argument));
    if (!tokens_.SkipOperator(",")) break;
  }
  tokens_.ExpectOperator(")");
  return arguments;
}

ExpressionPtr ExpressionParser::Call(ExpressionPtr operand) {
  ExpressionPtr call = MakeOf(Kind::kCall, std::move(operand));
  call->arguments = Arguments();
  SetDepth(*call);
  return call;
}

ExpressionPtr ExpressionParser::ParseFilters(ExpressionPtr operand) {
  while (!tokens_.failed()) {
    if (tokens_.SkipOperator("|")) {
      operand = Filter(std::move(operand));
    } else if (operand != nullptr && tokens_.SkipName("is")) {
      operand = Test(std::move(operand));
    } else if (operand != nullptr && tokens_.IsOperator("(")) {
      operand = Call(std::move(operand));
    } else {
      break;
    }
  }
  return operand;
}

ExpressionPtr ExpressionParser::ParseFilterBlock() { return ParseFilters(Filter(nullptr)); }

std::string ExpressionParser::DottedName() {
  std::string name = tokens_.TakeName();
  while (tokens_.SkipOperator(".")) name.append(".").append(tokens_.TakeName());
  return name;
}

ExpressionPtr ExpressionParser::Filter(ExpressionPtr operand) {
  ExpressionPtr filter = MakeOf(Kind::kFilter, std::move(operand));
  filter->name = DottedName();
  if (tokens_.IsOperator("(")) filter->arguments = Arguments();
  SetDepth(*filter);
  return filter;
}

ExpressionPtr ExpressionParser::Test(ExpressionPtr operand) {
  const bool negated = tokens_.SkipName("not");
  ExpressionPtr test = MakeOf(Kind::kTest, std::move(operand));
  test->name = DottedName();
  const Token::Kind kind = tokens_.Current().kind;
  const bool starts_value = kind == Token::Kind::kString || kind == Token::Kind::kInteger ||
                            kind == Token::Kind::kFloat || tokens_.IsOperator("[") ||
                            tokens_.IsOperator("{");
  constexpr std::string_view kNotValues[] = {"else", "or", "and", "if", "is", "not", "in"};
  const bool names_value =
      kind == Token::Kind::kName && std::find(std::begin(kNotValues), std::end(kNotValues),
                                              tokens_.Current().text) == std::end(kNotValues);
  if (tokens_.IsOperator("(")) {
    test->arguments = Arguments();
  } else if (starts_value || names_value) {  // x is divisibleby 3
    ExpressionPtr value = Primary();
    test->arguments.push_back({"", Postfix(std::move(value))});
  }
  SetDepth(*test);
  return negated ? MakeOf(Kind::kNot, std::move(test)) : std::move(test);
}

ExpressionPtr ExpressionParser::ListLiteral() {
  std::vector<ExpressionPtr> items;
  while (!tokens_.failed() && !tokens_.IsOperator("]")) {
    items.push_back(Condition());
    if (!tokens_.SkipOperator(",")) break;
  }
  tokens_.ExpectOperator("]");
  return Make(Kind::kList, std::move(items));
}

ExpressionPtr ExpressionParser::DictLiteral() {
  std::vector<ExpressionPtr> items;
  while (!tokens_.failed() && !tokens_.IsOperator("}")) {
    items.push_back(Condition());
    tokens_.ExpectOperator(":");
    items.push_back(Condition());
    if (!tokens_.SkipOperator(",")) break;
  }
  tokens_.ExpectOperator("}");
  return Make(Kind::kDict, std::move(items));
}

}  // namespace bramble::model::text::jinja
