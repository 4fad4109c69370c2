#include <array>
#include <ctime>
#include <string>

#include "model/text/jinja/builtins.h"
#include "model/text/jinja/print.h"

namespace bramble::model::text::jinja {
namespace {

constexpr std::int64_t kMaxRange = 100'000;  // Jinja's sandbox has the same

Value RaiseException(Context& context, const Value&, const Bound& arguments) {
  const MarkedString message = ToText(context, *arguments.At(0));
  return context.failed() ? Value() : context.Raise(message.bytes());
}

Value StrftimeNow(Context& context, const Value&, const Bound& arguments) {
  MarkedString format;
  if (!arguments.Text(context, 0, "the format of strftime_now", format)) return {};
  if (format.size() > 1000)
    return context.Fail("the format of strftime_now has more than 1000 bytes");
  // A letter may make a whole date, so room for the longest.
  std::string text(64 + 64 * format.size(), '\0');
  text.resize(std::strftime(text.data(), text.size(), format.bytes().c_str(), &context.now()));
  return context.NewText(text, true);
}

Value Range(Context& context, const Value&, const Bound& arguments) {
  const bool one = arguments.At(1) == nullptr;
  const std::int64_t first = arguments.Whole(context, 0, "range", 0);
  const std::int64_t from = one ? 0 : first;
  const std::int64_t to = one ? first : arguments.Whole(context, 1, "range", 0);
  const std::int64_t step = arguments.Whole(context, 2, "the step of range", 1);
  if (context.failed()) return {};
  if (step == 0) return context.Fail("the step of range is 0");
  // In 128 bits nothing overflows.
  const __int128 distance =
      step > 0 ? static_cast<__int128>(to) - from : static_cast<__int128>(from) - to;
  const __int128 stride = step > 0 ? static_cast<__int128>(step) : -static_cast<__int128>(step);
  const __int128 count = distance <= 0 ? 0 : (distance + stride - 1) / stride;
  if (count > kMaxRange) return context.Fail("range has more than ", kMaxRange, " numbers");
  std::vector<Value> numbers;
  numbers.reserve(static_cast<std::size_t>(count));
  for (__int128 i = 0; i < count; ++i)
    numbers.emplace_back(static_cast<std::int64_t>(from + i * step));
  return context.NewList(std::move(numbers));
}

// The entries of dict(a=1) and namespace(a=1): of one mapping, and of the names.
bool Entries(Context& context, const Bound& arguments, Dict& dict) {
  const CallArguments& all = arguments.all();
  if (all.positional.size() > 1 ||
      (all.positional.size() == 1 && all.positional[0].AsDict() == nullptr)) {
    context.Fail("dict and namespace take one mapping, and names");
    return false;
  }
  if (!all.positional.empty()) {
    for (const Dict::Entry& entry : all.positional[0].AsDict()->entries())
      dict.Set(entry.key, entry.value);
  }
  for (const auto& [name, value] : all.named) {
    if (value.As<std::shared_ptr<Namespace>>() != nullptr) {
      context.Fail("a namespace cannot lie in another value");
      return false;
    }
    dict.Set(MakeText(name, true), value);
  }
  return true;
}

Value DictFunction(Context& context, const Value&, const Bound& arguments) {
  Dict dict;
  if (!Entries(context, arguments, dict)) return {};
  return context.NewDict(std::move(dict));
}

Value NamespaceFunction(Context& context, const Value&, const Bound& arguments) {
  Dict dict;
  if (!Entries(context, arguments, dict)) return {};
  if (!context.budget().Bytes(sizeof(Namespace) + dict.size() * 4 * sizeof(Value))) return {};
  return Value(std::make_shared<Namespace>(Namespace{std::move(dict)}));
}

constexpr Builtin kRows[] = {
    {"raise_exception", "message", RaiseException}, {"strftime_now", "format", StrftimeNow},
    {"range", "start stop? step?", Range},          {"dict", "*", DictFunction},
    {"namespace", "*", NamespaceFunction},
};

}  // namespace

const Builtin* FindFunction(std::string_view name) { return FindRow(kRows, name); }

}  // namespace bramble::model::text::jinja
