#include <string>

#include "model/files/quote.h"
#include "model/text/jinja/arithmetic.h"
#include "model/text/jinja/builtins.h"
#include "model/text/jinja/print.h"
#include "model/text/jinja/strings.h"

// `is` tests. (Not tests of this program: those are in tests/.)
namespace bramble::model::text::jinja {
namespace {

Value IsDefined(Context&, const Value& input, const Bound&) { return Value(!input.IsUndefined()); }
Value IsUndefinedTest(Context&, const Value& input, const Bound&) {
  return Value(input.IsUndefined());
}
Value IsNoneTest(Context&, const Value& input, const Bound&) { return Value(input.IsNone()); }
Value IsString(Context&, const Value& input, const Bound&) {
  return Value(input.AsText() != nullptr);
}
Value IsBoolean(Context&, const Value& input, const Bound&) {
  return Value(input.As<bool>() != nullptr);
}
Value IsInteger(Context&, const Value& input, const Bound&) {
  return Value(input.As<std::int64_t>() != nullptr);
}
Value IsFloat(Context&, const Value& input, const Bound&) {
  return Value(input.As<double>() != nullptr);
}
Value IsMapping(Context&, const Value& input, const Bound&) {
  return Value(input.AsDict() != nullptr);
}

Value IsNumber(Context&, const Value& input, const Bound&) {
  double number = 0;
  return Value(input.AsNumber(number));  // Python's True is one too
}

// What has a length and can be iterated. Python's undefined value is such a thing.
Value IsSequence(Context&, const Value& input, const Bound&) {
  return Value(input.AsText() != nullptr || input.AsList() != nullptr ||
               input.AsDict() != nullptr || input.IsUndefined());
}

Value IsCallable(Context&, const Value& input, const Bound&) {
  return Value(input.As<Macro>() != nullptr || input.As<Function>() != nullptr ||
               input.As<std::shared_ptr<const Method>>() != nullptr);
}

template <bool wanted>
Value IsFlag(Context&, const Value& input, const Bound&) {
  const bool* flag = input.As<bool>();
  return Value(flag != nullptr && *flag == wanted);
}

Value IsDivisible(Context& context, const Value& input, const Bound& arguments) {
  const Value rest = Calculate(context, Operator::kModulo, input, *arguments.At(0));
  double number = 1;
  return Value(rest.AsNumber(number) && number == 0);
}

template <std::int64_t wanted>
Value IsParity(Context& context, const Value& input, const Bound&) {
  const Value rest = Calculate(context, Operator::kModulo, input, Value(std::int64_t{2}));
  double number = 2;
  return Value(rest.AsNumber(number) && number == static_cast<double>(wanted));
}

template <Operator op>
Value IsCompared(Context& context, const Value& input, const Bound& arguments) {
  return Value(Compare(context, op, input, *arguments.At(0)));
}

// Python's `is`: the same object. For plain values: the same type and value.
Value IsSame(Context& context, const Value& input, const Bound& arguments) {
  const Value& other = *arguments.At(0);
  return Value(input.TypeName() == other.TypeName() && Equal(input, other, context.budget()));
}

template <LetterCase how>
Value IsCase(Context& context, const Value& input, const Bound&) {
  const Builtin* method = FindTextMethod(how == LetterCase::kLower ? "islower" : "isupper");
  const Value text = context.NewText(ToText(context, input));
  return text.AsText() == nullptr ? Value(false)
                                  : Run(context, *method, "method", text, CallArguments());
}

template <const Builtin* (*find)(std::string_view)>
Value IsKnown(Context&, const Value& input, const Bound&) {
  return Value(input.AsText() != nullptr && find(input.AsText()->bytes()) != nullptr);
}

constexpr Builtin kRows[] = {
    {"defined", "", IsDefined},
    {"undefined", "", IsUndefinedTest},
    {"none", "", IsNoneTest},
    {"string", "", IsString},
    {"boolean", "", IsBoolean},
    {"integer", "", IsInteger},
    {"float", "", IsFloat},
    {"number", "", IsNumber},
    {"mapping", "", IsMapping},
    {"sequence", "", IsSequence},
    {"iterable", "", IsSequence},
    {"callable", "", IsCallable},
    {"true", "", IsFlag<true>},
    {"false", "", IsFlag<false>},
    {"odd", "", IsParity<1>},
    {"even", "", IsParity<0>},
    {"divisibleby", "num", IsDivisible},
    {"equalto", "other", IsCompared<Operator::kEqual>},
    {"eq", "other", IsCompared<Operator::kEqual>},
    {"==", "other", IsCompared<Operator::kEqual>},
    {"ne", "other", IsCompared<Operator::kNotEqual>},
    {"!=", "other", IsCompared<Operator::kNotEqual>},
    {"lt", "other", IsCompared<Operator::kLess>},
    {"lessthan", "other", IsCompared<Operator::kLess>},
    {"<", "other", IsCompared<Operator::kLess>},
    {"le", "other", IsCompared<Operator::kLessEqual>},
    {"<=", "other", IsCompared<Operator::kLessEqual>},
    {"gt", "other", IsCompared<Operator::kGreater>},
    {"greaterthan", "other", IsCompared<Operator::kGreater>},
    {">", "other", IsCompared<Operator::kGreater>},
    {"ge", "other", IsCompared<Operator::kGreaterEqual>},
    {">=", "other", IsCompared<Operator::kGreaterEqual>},
    {"in", "seq", IsCompared<Operator::kIn>},
    {"sameas", "other", IsSame},
    {"lower", "", IsCase<LetterCase::kLower>},
    {"upper", "", IsCase<LetterCase::kUpper>},
    {"filter", "", IsKnown<FindFilter>},
    {"test", "", IsKnown<FindTest>},
};

}  // namespace

const Builtin* FindTest(std::string_view name) { return FindRow(kRows, name); }

}  // namespace bramble::model::text::jinja
