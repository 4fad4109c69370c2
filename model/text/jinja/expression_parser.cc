#include "model/text/jinja/expression_parser.h"

#include <algorithm>
#include <utility>

namespace bramble::model::text::jinja {
namespace {

// How deep expressions may lie in each other. Real templates stay under 20; a chain of operators
// counts too.
constexpr std::uint32_t kMaxDepth = 200;

struct Spelling {
  std::string_view text;
  Operator meaning;
};
constexpr Spelling kComparisons[] = {{"==", Operator::kEqual},  {"!=", Operator::kNotEqual},
                                     {"<", Operator::kLess},    {"<=", Operator::kLessEqual},
                                     {">", Operator::kGreater}, {">=", Operator::kGreaterEqual}};
constexpr Spelling kProducts[] = {{"*", Operator::kMultiply},
                                  {"/", Operator::kDivide},
                                  {"//", Operator::kFloorDivide},
                                  {"%", Operator::kModulo}};

}  // namespace

// Guards the parser's own recursion.
class ExpressionParser::Nesting {
 public:
  explicit Nesting(ExpressionParser& parser) : parser_(parser) {
    if (++parser_.nesting_ > kMaxDepth / 2)
      parser_.tokens_.Fail("expressions lie more than ", kMaxDepth / 2, " deep");
  }
  ~Nesting() { --parser_.nesting_; }
  Nesting(const Nesting&) = delete;
  Nesting& operator=(const Nesting&) = delete;

 private:
  ExpressionParser& parser_;
};

ExpressionPtr ExpressionParser::Make(Kind kind, std::vector<ExpressionPtr> operands,
                                     std::string name) {
  auto expression = std::make_unique<Expression>();
  expression->kind = kind;
  expression->line = tokens_.line();
  expression->name = std::move(name);
  expression->operands = std::move(operands);
  SetDepth(*expression);
  return expression;
}

void ExpressionParser::SetDepth(Expression& expression) {
  std::uint32_t below = 0;
  for (const ExpressionPtr& operand : expression.operands) {
    if (operand != nullptr) below = std::max(below, operand->depth);
  }
  for (const Argument& argument : expression.arguments) {
    if (argument.value != nullptr) below = std::max(below, argument.value->depth);
  }
  expression.depth = below + 1;
  if (expression.depth > kMaxDepth)
    tokens_.Fail("an expression has more than ", kMaxDepth, " levels");
}

ExpressionPtr ExpressionParser::Constant(Value value) {
  ExpressionPtr expression = Make(Kind::kConstant, {});
  expression->constant = std::move(value);
  return expression;
}

ExpressionPtr ExpressionParser::Condition() {
  const Nesting nesting(*this);
  if (tokens_.failed()) return nullptr;
  ExpressionPtr value = Or();
  while (tokens_.SkipName("if")) {
    ExpressionPtr condition = Or();
    ExpressionPtr otherwise = tokens_.SkipName("else") ? Condition() : nullptr;
    value = MakeOf(Kind::kCondition, std::move(value), std::move(condition), std::move(otherwise));
  }
  return value;
}

ExpressionPtr ExpressionParser::Or() {
  ExpressionPtr left = And();
  while (tokens_.SkipName("or")) left = MakeOf(Kind::kOr, std::move(left), And());
  return left;
}

ExpressionPtr ExpressionParser::And() {
  ExpressionPtr left = Not();
  while (tokens_.SkipName("and")) left = MakeOf(Kind::kAnd, std::move(left), Not());
  return left;
}

ExpressionPtr ExpressionParser::Not() {
  std::uint32_t count = 0;
  while (tokens_.SkipName("not")) ++count;
  ExpressionPtr value = Compare();
  if (count > kMaxDepth) tokens_.Fail("'not' stands ", count, " times in a row");
  for (; count > 0 && !tokens_.failed(); --count) value = MakeOf(Kind::kNot, std::move(value));
  return value;
}

ExpressionPtr ExpressionParser::Compare() {
  ExpressionPtr first = Sum();
  std::vector<Operator> operators;
  std::vector<ExpressionPtr> operands;
  while (!tokens_.failed()) {
    const auto* comparison = std::find_if(
        std::begin(kComparisons), std::end(kComparisons),
        [this](const Spelling& spelling) { return tokens_.IsOperator(spelling.text); });
    if (comparison != std::end(kComparisons)) {
      tokens_.Take();
      operators.push_back(comparison->meaning);
    } else if (tokens_.SkipName("in")) {
      operators.push_back(Operator::kIn);
    } else if (tokens_.IsName("not") && tokens_.Following().kind == Token::Kind::kName &&
               tokens_.Following().text == "in") {
      tokens_.Take();
      tokens_.Take();
      operators.push_back(Operator::kNotIn);
    } else {
      break;
    }
    operands.push_back(Sum());
  }
  if (operators.empty()) return first;
  operands.insert(operands.begin(), std::move(first));
  ExpressionPtr compare = Make(Kind::kCompare, std::move(operands));
  compare->operators = std::move(operators);
  return compare;
}

ExpressionPtr ExpressionParser::Sum() {
  ExpressionPtr left = Concat();
  while (tokens_.IsOperator("+") || tokens_.IsOperator("-")) {
    const Operator meaning = tokens_.Take().text == "+" ? Operator::kAdd : Operator::kSubtract;
    left = MakeOf(Kind::kBinary, std::move(left), Concat());
    left->operators = {meaning};
  }
  return left;
}

ExpressionPtr ExpressionParser::Concat() {
  ExpressionPtr first = Product();
  if (!tokens_.IsOperator("~")) return first;
  std::vector<ExpressionPtr> operands;
  operands.push_back(std::move(first));
  while (tokens_.SkipOperator("~")) operands.push_back(Product());
  return Make(Kind::kConcat, std::move(operands));
}

ExpressionPtr ExpressionParser::Product() {
  ExpressionPtr left = Power();
  while (!tokens_.failed()) {
    const auto* product = std::find_if(
        std::begin(kProducts), std::end(kProducts),
        [this](const Spelling& spelling) { return tokens_.IsOperator(spelling.text); });
    if (product == std::end(kProducts)) break;
    tokens_.Take();
    left = MakeOf(Kind::kBinary, std::move(left), Power());
    left->operators = {product->meaning};
  }
  return left;
}

ExpressionPtr ExpressionParser::Power() {
  ExpressionPtr left = Unary(true);
  while (tokens_.SkipOperator("**")) {
    left = MakeOf(Kind::kBinary, std::move(left), Unary(true));
    left->operators = {Operator::kPower};
  }
  return left;
}

ExpressionPtr ExpressionParser::Unary(bool with_filters) {
  const Nesting nesting(*this);
  if (tokens_.failed()) return nullptr;
  ExpressionPtr value;
  if (tokens_.SkipOperator("-")) {
    value = MakeOf(Kind::kNegate, Unary(false));
  } else if (tokens_.SkipOperator("+")) {
    value = MakeOf(Kind::kPositive, Unary(false));
  } else {
    value = Primary();
  }
  value = Postfix(std::move(value));
  return with_filters ? ParseFilters(std::move(value)) : std::move(value);
}

ExpressionPtr ExpressionParser::ParseTuple(bool with_condition) {
  std::vector<ExpressionPtr> items;
  bool has_comma = false;
  while (!tokens_.failed()) {
    const bool ends = tokens_.IsOperator(")") || tokens_.Is(Token::Kind::kBlockEnd) ||
                      tokens_.Is(Token::Kind::kPrintEnd) || tokens_.IsName("recursive");
    if (ends && !items.empty()) break;
    items.push_back(with_condition ? Condition() : Or());
    if (!tokens_.SkipOperator(",")) break;
    has_comma = true;
  }
  if (!has_comma && !items.empty()) return std::move(items[0]);
  return Make(Kind::kTuple, std::move(items));
}

ExpressionPtr ExpressionParser::ParseTarget(bool with_attribute) {
  std::vector<ExpressionPtr> names;
  const bool in_brackets = tokens_.SkipOperator("(");
  bool has_comma = false;
  while (!tokens_.failed()) {
    std::string name = tokens_.TakeName();
    if (name == "loop" || name == "true" || name == "false" || name == "none") {
      tokens_.Fail("'", name, "' cannot be given a value");
    }
    names.push_back(Make(Kind::kName, {}, std::move(name)));
    if (with_attribute && names.size() == 1 && tokens_.SkipOperator(".")) {
      std::string attribute = tokens_.TakeName();
      ExpressionPtr target = MakeOf(Kind::kAttribute, std::move(names[0]));
      target->name = std::move(attribute);
      return target;
    }
    if (!tokens_.SkipOperator(",")) break;
    has_comma = true;
    if (tokens_.IsName("in") || tokens_.IsOperator(")") || tokens_.IsOperator("=")) break;
  }
  if (in_brackets) tokens_.ExpectOperator(")");
  if (!has_comma && names.size() == 1) return std::move(names[0]);
  return Make(Kind::kTuple, std::move(names));
}

}  // namespace bramble::model::text::jinja
