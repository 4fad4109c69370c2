#include <charconv>
#include <cmath>
#include <string>

#include "model/text/jinja/arithmetic.h"
#include "model/text/jinja/builtins.h"
#include "model/text/jinja/strings.h"

namespace bramble::model::text::jinja {
namespace {

// A whole text as a number, blanks around it and a '+' in front allowed.
template <typename T>
bool Parse(const Value& value, T& number) {
  if (value.AsText() == nullptr) return false;
  std::string text = Strip(*value.AsText(), nullptr, true, true).bytes();
  if (text.starts_with('+')) text.erase(0, 1);
  const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
  return !text.empty() && read.ec == std::errc() && read.ptr == text.data() + text.size();
}

constexpr double kWholeLimit = 9.2e18;  // below 2^63

Value Int(Context& context, const Value& input, const Bound& arguments) {
  if (arguments.At(1) != nullptr && arguments.Whole(context, 1, "the base of int", 10) != 10) {
    return context.Fail("int is known for base 10 only");
  }
  Value fallback = arguments.At(0) != nullptr ? *arguments.At(0) : Value(std::int64_t{0});
  std::int64_t whole = 0;
  if (input.AsWhole(whole) || Parse(input, whole)) return Value(whole);
  double real = 0;
  if (!input.AsNumber(real) && !Parse(input, real)) return fallback;
  if (!(std::fabs(real) < kWholeLimit)) return fallback;
  return Value(static_cast<std::int64_t>(real));
}

Value Float(Context&, const Value& input, const Bound& arguments) {
  double real = 0;
  if (input.AsNumber(real) || Parse(input, real)) return Value(real);
  return arguments.At(0) != nullptr ? *arguments.At(0) : Value(0.0);
}

Value Abs(Context& context, const Value& input, const Bound&) {
  std::int64_t whole = 0;
  double real = 0;
  if (input.AsWhole(whole)) return whole < 0 ? Negate(context, Value(whole)) : Value(whole);
  if (input.AsNumber(real)) return Value(std::fabs(real));
  return context.Fail("abs needs a number, not ", input.TypeName());
}

// Python's round: halves go to the even neighbour. The result is a float, as Jinja's is.
Value Round(Context& context, const Value& input, const Bound& arguments) {
  double real = 0;
  if (!input.AsNumber(real)) return context.Fail("round needs a number, not ", input.TypeName());
  const std::int64_t digits = arguments.Whole(context, 0, "the precision of round", 0);
  MarkedString method("common", true);
  if (!arguments.Text(context, 1, "the method of round", method)) return {};
  if (digits < -300 || digits > 300) return context.Fail("the precision of round is ", digits);
  const double scale = std::pow(10.0, static_cast<double>(digits));
  if (method.bytes() == "ceil") return Value(std::ceil(real * scale) / scale);
  if (method.bytes() == "floor") return Value(std::floor(real * scale) / scale);
  if (method.bytes() != "common")
    return context.Fail("the method of round must be common, ceil or floor");
  const double rounded = std::nearbyint(real * scale) / scale;
  return Value(std::isfinite(rounded) ? rounded : real);
}

Value Sum(Context& context, const Value& input, const Bound& arguments) {
  std::vector<Value> items;
  if (!Items(context, input, items)) return {};
  Value sum = arguments.At(1) != nullptr ? *arguments.At(1) : Value(std::int64_t{0});
  for (const Value& item : items) {
    if (context.failed()) return {};
    const Value* attribute = arguments.At(0);
    const bool whole_item = attribute == nullptr || attribute->IsNone();
    if (!whole_item && attribute->AsText() == nullptr)
      return context.Fail("the attribute of sum must be a string");
    sum = Calculate(context, Operator::kAdd, sum,
                    whole_item ? item : GetPath(context, item, attribute->AsText()->bytes()));
  }
  return sum;
}

Value Default(Context&, const Value& input, const Bound& arguments) {
  const bool missing = arguments.Flag(1, false) ? !input.IsTrue() : input.IsUndefined();
  if (!missing) return input;
  return arguments.At(0) != nullptr ? *arguments.At(0) : MakeText("", true);
}

constexpr Builtin kRows[] = {
    {"default", "default_value? boolean?", Default},
    {"d", "default_value? boolean?", Default},
    {"int", "default? base?", Int},
    {"float", "default?", Float},
    {"abs", "", Abs},
    {"round", "precision? method?", Round},
    {"sum", "attribute? start?", Sum},
};

}  // namespace

const Builtin* FindNumberFilter(std::string_view name) { return FindRow(kRows, name); }

}  // namespace bramble::model::text::jinja
