#include "model/text/jinja/arithmetic.h"

#include <cmath>
#include <limits>

#include "model/text/jinja/builtins.h"
#include "model/text/jinja/strings.h"

namespace bramble::model::text::jinja {
namespace {

const char* Symbol(Operator op) {
  constexpr const char* kSymbols[] = {
      "+", "-", "*", "/", "//", "%", "**", "==", "!=", "<", "<=", ">", ">=", "in", "not in"};
  return kSymbols[static_cast<std::size_t>(op)];
}

Value TooLarge(Context& context, Operator op) {
  return context.Fail("the result of '", Symbol(op), "' does not fit into 64 bits");
}

Value Power(Context& context, std::int64_t base, std::int64_t exponent) {
  std::int64_t result = 1;
  while (exponent > 0) {
    if ((exponent & 1) != 0 && __builtin_mul_overflow(result, base, &result))
      return TooLarge(context, Operator::kPower);
    exponent >>= 1;
    if (exponent > 0 && __builtin_mul_overflow(base, base, &base))
      return TooLarge(context, Operator::kPower);
  }
  return Value(result);
}

Value OfWholes(Context& context, Operator op, std::int64_t left, std::int64_t right) {
  std::int64_t result = 0;
  switch (op) {
    case Operator::kAdd:
      return __builtin_add_overflow(left, right, &result) ? TooLarge(context, op) : Value(result);
    case Operator::kSubtract:
      return __builtin_sub_overflow(left, right, &result) ? TooLarge(context, op) : Value(result);
    case Operator::kMultiply:
      return __builtin_mul_overflow(left, right, &result) ? TooLarge(context, op) : Value(result);
    case Operator::kPower:
      if (right < 0) return Value(std::pow(static_cast<double>(left), static_cast<double>(right)));
      return Power(context, left, right);
    default:
      break;
  }
  if (right == 0) return context.Fail("division by zero");
  if (op == Operator::kDivide) return Value(static_cast<double>(left) / static_cast<double>(right));
  // The smallest number divided by -1 does not exist in 64 bits, and traps on some processors.
  if (right == -1)
    return op == Operator::kModulo ? Value(std::int64_t{0}) : Negate(context, Value(left));
  const std::int64_t rest = left % right;
  const bool down = rest != 0 && (rest < 0) != (right < 0);
  if (op == Operator::kModulo) return Value(down ? rest + right : rest);
  return Value(left / right - (down ? 1 : 0));
}

Value OfReals(Context& context, Operator op, double left, double right) {
  switch (op) {
    case Operator::kAdd:
      return Value(left + right);
    case Operator::kSubtract:
      return Value(left - right);
    case Operator::kMultiply:
      return Value(left * right);
    case Operator::kPower:
      return Value(std::pow(left, right));
    default:
      break;
  }
  if (right == 0) return context.Fail("division by zero");
  if (op == Operator::kDivide) return Value(left / right);
  if (op == Operator::kFloorDivide) return Value(std::floor(left / right));
  const double rest = std::fmod(left, right);
  return Value(rest != 0 && (rest < 0) != (right < 0) ? rest + right : rest);
}

Value Join(Context& context, Value left, const Value& right) {
  Value::Text& text = *left.As<Value::Text>();
  const MarkedString& other = *right.AsText();
  if (text.use_count() == 1) {  // then it is not `right` either
    if (!context.budget().Bytes(other.size())) return {};
    text->Append(other);
    return left;
  }
  if (!context.budget().Bytes(text->size() + other.size())) return {};
  MarkedString joined = *text;
  joined.Append(other);
  return MakeText(std::move(joined));
}

// text * count and list * count.
Value Repeat(Context& context, const Value& value, std::int64_t count) {
  const auto times = static_cast<std::uint64_t>(count < 0 ? 0 : count);
  const std::uint64_t size = value.AsText() != nullptr
                                 ? value.AsText()->size()
                                 : value.AsList()->items.size() * sizeof(Value);
  if (size > 0 && times > (std::numeric_limits<std::uint64_t>::max() >> 1U) / size)
    return TooLarge(context, Operator::kMultiply);
  if (!context.budget().Bytes(size * times)) return {};
  if (size == 0) return value;
  if (const MarkedString* text = value.AsText()) {
    MarkedString out;
    for (std::uint64_t i = 0; i < times; ++i) out.Append(*text);
    return MakeText(std::move(out));
  }
  std::vector<Value> items;
  for (std::uint64_t i = 0; i < times; ++i) {
    items.insert(items.end(), value.AsList()->items.begin(), value.AsList()->items.end());
  }
  return context.NewList(std::move(items), value.AsList()->is_tuple);
}

Value JoinLists(Context& context, const List& left, const List& right) {
  if (!context.budget().Bytes((left.items.size() + right.items.size()) * sizeof(Value))) return {};
  std::vector<Value> items = left.items;
  items.insert(items.end(), right.items.begin(), right.items.end());
  return context.NewList(std::move(items), left.is_tuple);
}

Value FailTypes(Context& context, Operator op, const Value& left, const Value& right) {
  for (const Value* value : {&left, &right}) {
    if (!value->IsUndefined()) continue;
    const std::string& name = value->As<Undefined>()->name;
    return context.Fail("'", Symbol(op), "' with an undefined value", name.empty() ? "" : ": ",
                        name);
  }
  if (op == Operator::kAdd && left.AsText() != nullptr) {
    return context.Fail("can only concatenate str (not \"", right.TypeName(), "\") to str");
  }
  return context.Fail("'", Symbol(op), "' is not known for ", left.TypeName(), " and ",
                      right.TypeName());
}

}  // namespace

Value Calculate(Context& context, Operator op, Value left, const Value& right) {
  if (op == Operator::kAdd && left.AsText() != nullptr && right.AsText() != nullptr) {
    return Join(context, std::move(left), right);
  }
  if (op == Operator::kModulo && left.AsText() != nullptr) {
    const List* tuple = right.AsList();
    const bool many = tuple != nullptr && tuple->is_tuple;
    return context.NewText(
        FormatPercent(context, *left.AsText(), many ? tuple->items : std::vector<Value>{right}));
  }
  std::int64_t whole_left = 0;
  std::int64_t whole_right = 0;
  const bool left_is_whole = left.AsWhole(whole_left);
  const bool right_is_whole = right.AsWhole(whole_right);
  if (left_is_whole && right_is_whole) return OfWholes(context, op, whole_left, whole_right);
  double real_left = 0;
  double real_right = 0;
  if (left.AsNumber(real_left) && right.AsNumber(real_right))
    return OfReals(context, op, real_left, real_right);
  const auto is_sequence = [](const Value& value) {
    return value.AsText() != nullptr || value.AsList() != nullptr;
  };
  if (op == Operator::kMultiply && is_sequence(left) && right_is_whole)
    return Repeat(context, left, whole_right);
  if (op == Operator::kMultiply && left_is_whole && is_sequence(right))
    return Repeat(context, right, whole_left);
  const List* list_left = left.AsList();
  const List* list_right = right.AsList();
  if (op == Operator::kAdd && list_left != nullptr && list_right != nullptr &&
      list_left->is_tuple == list_right->is_tuple) {
    return JoinLists(context, *list_left, *list_right);
  }
  return FailTypes(context, op, left, right);
}

Value Negate(Context& context, const Value& value) {
  std::int64_t whole = 0;
  if (value.AsWhole(whole)) {
    std::int64_t negative = 0;
    return __builtin_sub_overflow(std::int64_t{0}, whole, &negative)
               ? TooLarge(context, Operator::kSubtract)
               : Value(negative);
  }
  double real = 0;
  if (value.AsNumber(real)) return Value(-real);
  return context.Fail("'-' is not known for ", value.TypeName());
}

bool Compare(Context& context, Operator op, const Value& left, const Value& right) {
  bool comparable = true;
  bool result = false;
  switch (op) {
    case Operator::kEqual:
      return Equal(left, right, context.budget());
    case Operator::kNotEqual:
      return !Equal(left, right, context.budget());
    case Operator::kIn:
      return Contains(context, right, left);
    case Operator::kNotIn:
      return !Contains(context, right, left);
    case Operator::kLess:
      result = Less(left, right, context.budget(), comparable);
      break;
    case Operator::kGreater:
      result = Less(right, left, context.budget(), comparable);
      break;
    case Operator::kLessEqual:
      result =
          Less(left, right, context.budget(), comparable) || Equal(left, right, context.budget());
      break;
    case Operator::kGreaterEqual:
      result =
          Less(right, left, context.budget(), comparable) || Equal(left, right, context.budget());
      break;
    default:
      CHECK(false);
  }
  if (!comparable) FailTypes(context, op, left, right);
  return result;
}

}  // namespace bramble::model::text::jinja
