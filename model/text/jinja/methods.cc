#include <algorithm>
#include <string>

#include "model/text/jinja/builtins.h"
#include "model/text/jinja/print.h"
#include "model/text/jinja/strings.h"
#include "model/text/unicode.h"
#include "model/text/utf8.h"

namespace bramble::model::text::jinja {
namespace {

const MarkedString& Self(const Value& object) { return *object.AsText(); }

// The optional argument of strip and split: null where it is missing or None.
const MarkedString* OptionalText(Context& context, const Bound& arguments, std::size_t index,
                                 const char* what) {
  const Value* value = arguments.At(index);
  if (value == nullptr || value->IsNone()) return nullptr;
  if (value->AsText() == nullptr) context.Fail(what, " must be a string, not ", value->TypeName());
  return value->AsText();
}

template <bool left, bool right>
Value StripMethod(Context& context, const Value& object, const Bound& arguments) {
  const MarkedString* characters = OptionalText(context, arguments, 0, "the argument of strip");
  // Each character of the text may be looked up in all of them.
  const std::size_t cost =
      1 + Self(object).size() * (1 + (characters == nullptr ? 0 : characters->size() / 64)) / 64;
  if (!context.budget().Step(cost)) return {};
  return context.NewText(Strip(Self(object), characters, left, right));
}

template <auto split>
Value SplitMethod(Context& context, const Value& object, const Bound& arguments) {
  const MarkedString* separator = OptionalText(context, arguments, 0, "the separator of split");
  const std::int64_t most = arguments.Whole(context, 1, "the limit of split", -1);
  if (!context.budget().Step(1 + Self(object).size() / 64)) return {};
  return context.NewList(split(context, Self(object), separator, most));
}

Value SplitLinesMethod(Context& context, const Value& object, const Bound& arguments) {
  if (!context.budget().Step(1 + Self(object).size() / 64)) return {};
  return context.NewList(SplitLines(context, Self(object), arguments.Flag(0, false)));
}

bool EndsOrStarts(const std::string& text, const std::string& part, bool ends) {
  return ends ? text.ends_with(part) : text.starts_with(part);
}

// startswith and endswith: one string, or a tuple of which any will do.
template <bool ends>
Value AffixMethod(Context& context, const Value& object, const Bound& arguments) {
  const Value& affix = *arguments.At(0);
  if (!context.budget().Step(1 + Self(object).size() / 256)) return {};
  if (affix.AsText() != nullptr)
    return Value(EndsOrStarts(Self(object).bytes(), affix.AsText()->bytes(), ends));
  const List* list = affix.AsList();
  if (list == nullptr || !list->is_tuple)
    return context.Fail("startswith and endswith take a string or a tuple of them");
  for (const Value& each : list->items) {
    if (!context.budget().Step(1 + Self(object).size() / 256)) return {};
    if (each.AsText() == nullptr)
      return context.Fail("startswith and endswith take a string or a tuple of them");
    if (EndsOrStarts(Self(object).bytes(), each.AsText()->bytes(), ends)) return Value(true);
  }
  return Value(false);
}

template <bool suffix>
Value RemoveAffix(Context& context, const Value& object, const Bound& arguments) {
  MarkedString affix;
  if (!arguments.Text(context, 0, "the affix", affix)) return {};
  const MarkedString& text = Self(object);
  if (!EndsOrStarts(text.bytes(), affix.bytes(), suffix)) return object;
  return context.NewText(suffix ? text.Part(0, text.size() - affix.size())
                                : text.Part(affix.size(), text.size()));
}

Value ReplaceMethod(Context& context, const Value& object, const Bound& arguments) {
  MarkedString old;
  MarkedString by;
  if (!arguments.Text(context, 0, "what to replace", old) ||
      !arguments.Text(context, 1, "the replacement", by))
    return {};
  const std::int64_t most = arguments.Whole(context, 2, "the limit of replace", -1);
  return context.NewText(Replace(context, Self(object), old, by, most));
}

template <LetterCase how>
Value CaseMethod(Context& context, const Value& object, const Bound&) {
  return context.NewText(ChangeCase(context, Self(object), how));
}

Value JoinMethod(Context& context, const Value& object, const Bound& arguments) {
  std::vector<Value> items;
  MarkedString out;
  if (!Items(context, *arguments.At(0), items)) return {};
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (items[i].AsText() == nullptr)
      return context.Fail("join needs strings, not ", items[i].TypeName());
    if (!context.budget().Bytes(items[i].AsText()->size() + Self(object).size())) return {};
    if (i > 0) out.Append(Self(object));
    out.Append(*items[i].AsText());
  }
  return context.NewText(std::move(out));
}

// find, rfind, index and rindex: the place counted in characters.
template <bool right, bool must>
Value FindMethod(Context& context, const Value& object, const Bound& arguments) {
  MarkedString part;
  if (!arguments.Text(context, 0, "what to find", part)) return {};
  const std::string& text = Self(object).bytes();
  if (!context.budget().Step(1 + text.size() / 64)) return {};
  std::size_t found = FindText(text, part.bytes(), 0);
  for (std::size_t next = found; right && next != std::string::npos && !context.failed();) {
    found = next;
    if (!context.budget().Step()) return {};
    next = next < text.size() ? FindText(text, part.bytes(), next + 1) : std::string::npos;
  }
  if (found == std::string::npos)
    return must ? context.Fail("substring not found") : Value(std::int64_t{-1});
  return Value(static_cast<std::int64_t>(CountCharacters(std::string_view(text).substr(0, found))));
}

Value CountMethod(Context& context, const Value& object, const Bound& arguments) {
  MarkedString part;
  if (!arguments.Text(context, 0, "what to count", part)) return {};
  const std::string& text = Self(object).bytes();
  if (part.empty()) return Value(static_cast<std::int64_t>(CountCharacters(text) + 1));
  std::int64_t count = 0;
  for (std::size_t at = FindText(text, part.bytes(), 0); at != std::string::npos; ++count) {
    if (!context.budget().Step()) return {};
    at = FindText(text, part.bytes(), at + part.size());
  }
  return Value(count);
}

// isdigit and the like: every character, and at least one, is such.
template <bool (*is)(char32_t)>
Value IsMethod(Context& context, const Value& object, const Bound&) {
  std::string_view rest = Self(object).bytes();
  if (!context.budget().Step(1 + rest.size() / 64)) return {};
  bool all = !rest.empty();
  while (all && !rest.empty()) {
    const Utf8Step step = NextUtf8(rest);
    all = is(step.letter);
    rest.remove_prefix(step.bytes);
  }
  return Value(all);
}

bool IsLetterOrDigit(char32_t letter) { return IsLetter(letter) || IsDecimal(letter); }

// isupper and islower: no character of the other case, and at least one of this.
template <bool (*is)(char32_t), bool (*is_other)(char32_t)>
Value IsCaseMethod(Context& context, const Value& object, const Bound&) {
  std::string_view rest = Self(object).bytes();
  if (!context.budget().Step(1 + rest.size() / 64)) return {};
  bool any = false;
  while (!rest.empty()) {
    const Utf8Step step = NextUtf8(rest);
    if (is_other(step.letter)) return Value(false);
    any = any || is(step.letter);
    rest.remove_prefix(step.bytes);
  }
  return Value(any);
}

Value FormatMethod(Context& context, const Value& object, const Bound& arguments) {
  return context.NewText(FormatBraces(context, Self(object), arguments.all()));
}

Value GetMethod(Context& context, const Value& object, const Bound& arguments) {
  if (!context.budget().Step(1 + arguments.At(0)->Bytes() / 256)) return {};
  const Value* found = object.AsDict()->Find(*arguments.At(0));
  if (found != nullptr) return *found;
  return arguments.At(1) != nullptr ? *arguments.At(1) : Value(None{});
}

enum class Part { kKeys, kValues, kItems };

template <Part part>
Value EntriesMethod(Context& context, const Value& object, const Bound&) {
  std::vector<Value> items;
  for (const Dict::Entry& entry : object.AsDict()->entries()) {
    if (context.failed()) return {};
    if (part == Part::kItems) items.push_back(context.NewList({entry.key, entry.value}, true));
    if (part == Part::kKeys) items.push_back(entry.key);
    if (part == Part::kValues) items.push_back(entry.value);
  }
  return context.NewList(std::move(items));
}

Value CopyMethod(Context&, const Value& object, const Bound&) { return object; }

Value CountItemMethod(Context& context, const Value& object, const Bound& arguments) {
  const auto& items = object.AsList()->items;
  return Value(
      static_cast<std::int64_t>(std::count_if(items.begin(), items.end(), [&](const Value& each) {
        return Equal(each, *arguments.At(0), context.budget());
      })));
}

Value IndexItemMethod(Context& context, const Value& object, const Bound& arguments) {
  const auto& items = object.AsList()->items;
  const auto found = std::find_if(items.begin(), items.end(), [&](const Value& each) {
    return Equal(each, *arguments.At(0), context.budget());
  });
  if (found == items.end()) return context.Fail("the list does not have this element");
  return Value(static_cast<std::int64_t>(found - items.begin()));
}

// Jinja's immutable sandbox, in which templates of models run, refuses these too.
Value ChangeMethod(Context& context, const Value& object, const Bound&) {
  return context.Fail("a ", object.TypeName(),
                      " cannot be changed in a template; build a new one, or use namespace()");
}

constexpr Builtin kTextMethods[] = {
    {"strip", "chars?", StripMethod<true, true>},
    {"lstrip", "chars?", StripMethod<true, false>},
    {"rstrip", "chars?", StripMethod<false, true>},
    {"split", "sep? maxsplit?", SplitMethod<Split>},
    {"rsplit", "sep? maxsplit?", SplitMethod<SplitRight>},
    {"splitlines", "keepends?", SplitLinesMethod},
    {"startswith", "prefix", AffixMethod<false>},
    {"endswith", "suffix", AffixMethod<true>},
    {"removeprefix", "prefix", RemoveAffix<false>},
    {"removesuffix", "suffix", RemoveAffix<true>},
    {"replace", "old new count?", ReplaceMethod},
    {"lower", "", CaseMethod<LetterCase::kLower>},
    {"upper", "", CaseMethod<LetterCase::kUpper>},
    {"title", "", CaseMethod<LetterCase::kTitle>},
    {"capitalize", "", CaseMethod<LetterCase::kCapitalize>},
    {"join", "iterable", JoinMethod},
    {"find", "sub", FindMethod<false, false>},
    {"rfind", "sub", FindMethod<true, false>},
    {"index", "sub", FindMethod<false, true>},
    {"rindex", "sub", FindMethod<true, true>},
    {"count", "sub", CountMethod},
    {"isdigit", "", IsMethod<IsDecimal>},
    {"isdecimal", "", IsMethod<IsDecimal>},
    {"isnumeric", "", IsMethod<IsDecimal>},
    {"isalpha", "", IsMethod<IsLetter>},
    {"isalnum", "", IsMethod<IsLetterOrDigit>},
    {"isspace", "", IsMethod<IsPythonSpace>},
    {"isupper", "", IsCaseMethod<IsUpper, IsLower>},
    {"islower", "", IsCaseMethod<IsLower, IsUpper>},
    {"format", "*", FormatMethod},
};

constexpr Builtin kDictMethods[] = {
    {"get", "key default?", GetMethod},
    {"items", "", EntriesMethod<Part::kItems>},
    {"keys", "", EntriesMethod<Part::kKeys>},
    {"values", "", EntriesMethod<Part::kValues>},
    {"copy", "", CopyMethod},
    {"pop", "*", ChangeMethod},
    {"update", "*", ChangeMethod},
    {"setdefault", "*", ChangeMethod},
    {"clear", "*", ChangeMethod},
    {"popitem", "*", ChangeMethod},
};

constexpr Builtin kListMethods[] = {
    {"count", "value", CountItemMethod},
    {"index", "value", IndexItemMethod},
    {"copy", "", CopyMethod},
    {"append", "*", ChangeMethod},
    {"extend", "*", ChangeMethod},
    {"insert", "*", ChangeMethod},
    {"pop", "*", ChangeMethod},
    {"remove", "*", ChangeMethod},
    {"reverse", "*", ChangeMethod},
    {"sort", "*", ChangeMethod},
    {"clear", "*", ChangeMethod},
};

}  // namespace

const Builtin* FindTextMethod(std::string_view name) { return FindRow(kTextMethods, name); }
const Builtin* FindDictMethod(std::string_view name) { return FindRow(kDictMethods, name); }
const Builtin* FindListMethod(std::string_view name) { return FindRow(kListMethods, name); }

}  // namespace bramble::model::text::jinja
