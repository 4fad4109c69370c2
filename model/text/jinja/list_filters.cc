#include <algorithm>
#include <string>

#include "model/files/quote.h"
#include "model/text/jinja/builtins.h"
#include "model/text/jinja/print.h"
#include "model/text/jinja/strings.h"

namespace bramble::model::text::jinja {
namespace {

Value Length(Context& context, const Value& input, const Bound&) {
  if (input.IsUndefined()) return Value(std::int64_t{0});
  if (const List* list = input.AsList())
    return Value(static_cast<std::int64_t>(list->items.size()));
  if (const Dict* dict = input.AsDict()) return Value(static_cast<std::int64_t>(dict->size()));
  if (const MarkedString* text = input.AsText()) {
    if (!context.budget().Step(1 + text->size() / 256)) return {};
    return Value(static_cast<std::int64_t>(CountCharacters(text->bytes())));
  }
  return context.Fail("a value of type ", input.TypeName(), " has no length");
}

Value ListFilter(Context& context, const Value& input, const Bound&) {
  std::vector<Value> items;
  if (!Items(context, input, items)) return {};
  return context.NewList(std::move(items));
}

Value ItemsFilter(Context& context, const Value& input, const Bound& arguments) {
  if (input.IsUndefined()) return context.NewList({});
  if (input.AsDict() == nullptr)
    return context.Fail("items needs a mapping, not ", input.TypeName());
  return Run(context, *FindDictMethod("items"), "method", input, arguments.all());
}

template <bool last>
Value Edge(Context& context, const Value& input, const Bound&) {
  std::vector<Value> items;
  if (!Items(context, input, items)) return {};
  if (items.empty()) return Value(Undefined{"no item, the sequence was empty"});
  return last ? items.back() : items.front();
}

// The value of a filter's `attribute` argument: itself where there is none.
Value Attribute(Context& context, const Value& item, const Value* attribute) {
  if (attribute == nullptr || attribute->IsNone()) return item;
  if (const MarkedString* path = attribute->AsText()) return GetPath(context, item, path->bytes());
  return GetItem(context, item, *attribute);
}

Value Join(Context& context, const Value& input, const Bound& arguments) {
  MarkedString separator;
  if (const Value* given = arguments.At(0)) separator = ToText(context, *given);
  std::vector<Value> items;
  MarkedString out;
  if (!Items(context, input, items)) return {};
  for (std::size_t i = 0; i < items.size() && !context.failed(); ++i) {
    const MarkedString part = ToText(context, Attribute(context, items[i], arguments.At(1)));
    if (!context.budget().Bytes(part.size() + separator.size())) return {};
    if (i > 0) out.Append(separator);
    out.Append(part);
  }
  return context.NewText(std::move(out));
}

// select, reject, selectattr, rejectattr: the items for which a test holds, or does not.
template <bool by_attribute, bool wanted>
Value Select(Context& context, const Value& input, const Bound& arguments) {
  CallArguments rest = arguments.all();
  Value attribute;
  const auto take = [&rest](Value& value) {
    if (rest.positional.empty()) return false;
    value = rest.positional.front();
    rest.positional.erase(rest.positional.begin());
    return true;
  };
  if (by_attribute && !take(attribute))
    return context.Fail("selectattr and rejectattr need the name of an attribute");
  const Builtin* test = nullptr;
  if (Value name; take(name)) {
    if (name.AsText() == nullptr) return context.Fail("the name of a test must be a string");
    test = FindTest(name.AsText()->bytes());
    if (test == nullptr)
      return context.Fail("the test ", files::Quote(name.AsText()->bytes()), " is not known");
  }
  std::vector<Value> items;
  std::vector<Value> selected;
  // As in Jinja, nothing is selected of None.
  if (input.IsTrue() && !Items(context, input, items)) return {};
  for (const Value& item : items) {
    if (context.failed() || !context.budget().Step()) return {};
    const Value value = by_attribute ? Attribute(context, item, &attribute) : item;
    const bool holds =
        test == nullptr ? value.IsTrue() : Run(context, *test, "test", value, rest).IsTrue();
    if (holds == wanted) selected.push_back(item);
  }
  return context.NewList(std::move(selected));
}

// map(attribute='x', default=y), or map('filter', arguments...).
Value Map(Context& context, const Value& input, const Bound& arguments) {
  CallArguments rest = arguments.all();
  const Value* attribute = arguments.Named("attribute");
  const Value* fallback = arguments.Named("default");
  const Builtin* filter = nullptr;
  if (attribute == nullptr) {
    if (rest.positional.empty() || rest.positional[0].AsText() == nullptr) {
      return context.Fail("map needs the name of a filter, or attribute=");
    }
    const std::string name = rest.positional[0].AsText()->bytes();
    filter = FindFilter(name);
    if (filter == nullptr) return context.Fail("the filter ", files::Quote(name), " is not known");
    rest.positional.erase(rest.positional.begin());
  }
  std::vector<Value> items;
  if (input.IsTrue() && !Items(context, input, items)) return {};
  for (Value& item : items) {
    if (context.failed() || !context.budget().Step()) return {};
    item = filter != nullptr ? Run(context, *filter, "filter", item, rest)
                             : Attribute(context, item, attribute);
    if (item.IsUndefined() && filter == nullptr && fallback != nullptr) item = *fallback;
  }
  return context.NewList(std::move(items));
}

// Python compares strings without regard to case here unless it is told otherwise.
Value SortKey(Context& context, const Value& item, const Value* attribute, bool by_case) {
  Value key = Attribute(context, item, attribute);
  if (by_case || key.AsText() == nullptr) return key;
  return context.NewText(ChangeCase(context, *key.AsText(), LetterCase::kLower));
}

struct Keyed {
  Value key;
  Value item;
};

std::vector<Value> Sorted(Context& context, std::vector<Keyed> keyed, bool reverse) {
  bool all_comparable = true;
  std::stable_sort(keyed.begin(), keyed.end(), [&](const Keyed& a, const Keyed& b) {
    bool comparable = true;
    const bool less = reverse ? Less(b.key, a.key, context.budget(), comparable)
                              : Less(a.key, b.key, context.budget(), comparable);
    all_comparable = all_comparable && comparable;
    return less && all_comparable;
  });
  if (!all_comparable) context.Fail("values that are sorted have no order among each other");
  std::vector<Value> items;
  items.reserve(keyed.size());
  for (Keyed& each : keyed) items.push_back(std::move(each.item));
  return items;
}

Value Sort(Context& context, const Value& input, const Bound& arguments) {
  std::vector<Value> items;
  std::vector<Keyed> keyed;
  if (!Items(context, input, items)) return {};
  keyed.reserve(items.size());
  for (Value& item : items) {
    keyed.push_back({SortKey(context, item, arguments.At(2), arguments.Flag(1, false)), item});
  }
  return context.NewList(Sorted(context, std::move(keyed), arguments.Flag(0, false)));
}

Value DictSort(Context& context, const Value& input, const Bound& arguments) {
  if (input.AsDict() == nullptr)
    return context.Fail("dictsort needs a mapping, not ", input.TypeName());
  MarkedString by("key", true);
  if (!arguments.Text(context, 1, "by", by)) return {};
  std::vector<Keyed> keyed;
  for (const Dict::Entry& entry : input.AsDict()->entries()) {
    const Value& key = by.bytes() == "value" ? entry.value : entry.key;
    keyed.push_back({SortKey(context, key, nullptr, arguments.Flag(0, false)),
                     context.NewList({entry.key, entry.value}, true)});
  }
  return context.NewList(Sorted(context, std::move(keyed), arguments.Flag(2, false)));
}

Value Reverse(Context& context, const Value& input, const Bound&) {
  if (input.AsText() != nullptr) return Slice(context, input, {}, {}, Value(std::int64_t{-1}));
  std::vector<Value> items;
  if (!Items(context, input, items)) return {};
  std::reverse(items.begin(), items.end());
  return context.NewList(std::move(items));
}

Value Unique(Context& context, const Value& input, const Bound& arguments) {
  std::vector<Value> items;
  std::vector<Value> unique;
  std::vector<Value> keys;
  if (!Items(context, input, items)) return {};
  for (const Value& item : items) {
    const Value key = SortKey(context, item, arguments.At(1), arguments.Flag(0, false));
    const bool seen = std::any_of(keys.begin(), keys.end(), [&](const Value& each) {
      return Equal(each, key, context.budget());
    });
    if (context.failed()) return {};
    if (seen) continue;
    keys.push_back(key);
    unique.push_back(item);
  }
  return context.NewList(std::move(unique));
}

template <bool largest>
Value Extreme(Context& context, const Value& input, const Bound& arguments) {
  std::vector<Value> items;
  if (!Items(context, input, items)) return {};
  if (items.empty()) return Value(Undefined{"no item, the sequence was empty"});
  std::vector<Keyed> keyed;
  keyed.reserve(items.size());
  for (Value& item : items) {
    keyed.push_back({SortKey(context, item, arguments.At(1), arguments.Flag(0, false)), item});
  }
  return Sorted(context, std::move(keyed), largest).front();
}

// Lists of a given size each, the last filled up where asked for.
Value Batch(Context& context, const Value& input, const Bound& arguments) {
  const std::int64_t size = arguments.Whole(context, 0, "the size of batch", 1);
  if (size < 1 || size > (1 << 20))
    return context.Fail("the size of batch is ", size, ", it must be 1 to 1048576");
  std::vector<Value> items;
  std::vector<Value> batches;
  if (!Items(context, input, items)) return {};
  for (std::size_t at = 0; at < items.size() && !context.failed();
       at += static_cast<std::size_t>(size)) {
    const std::size_t end = std::min(items.size(), at + static_cast<std::size_t>(size));
    std::vector<Value> batch(items.begin() + static_cast<std::ptrdiff_t>(at),
                             items.begin() + static_cast<std::ptrdiff_t>(end));
    if (arguments.At(1) != nullptr) batch.resize(static_cast<std::size_t>(size), *arguments.At(1));
    batches.push_back(context.NewList(std::move(batch)));
  }
  return context.NewList(std::move(batches));
}

Value Attr(Context& context, const Value& input, const Bound& arguments) {
  MarkedString name;
  if (!arguments.Text(context, 0, "the name of an attribute", name)) return {};
  return GetAttribute(context, input, name.bytes());
}

constexpr Builtin kRows[] = {
    {"length", "", Length},
    {"count", "", Length},
    {"list", "", ListFilter},
    {"items", "", ItemsFilter},
    {"first", "", Edge<false>},
    {"last", "", Edge<true>},
    {"join", "d? attribute?", Join},
    {"select", "*", Select<false, true>},
    {"reject", "*", Select<false, false>},
    {"selectattr", "*", Select<true, true>},
    {"rejectattr", "*", Select<true, false>},
    {"map", "*", Map},
    {"sort", "reverse? case_sensitive? attribute?", Sort},
    {"dictsort", "case_sensitive? by? reverse?", DictSort},
    {"reverse", "", Reverse},
    {"unique", "case_sensitive? attribute?", Unique},
    {"min", "case_sensitive? attribute?", Extreme<false>},
    {"max", "case_sensitive? attribute?", Extreme<true>},
    {"batch", "linecount fill_with?", Batch},
    {"attr", "name", Attr},
};

}  // namespace

const Builtin* FindListFilter(std::string_view name) { return FindRow(kRows, name); }

}  // namespace bramble::model::text::jinja
