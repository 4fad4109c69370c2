#include <algorithm>
#include <string>

#include "model/text/jinja/builtins.h"
#include "model/text/jinja/print.h"
#include "model/text/jinja/strings.h"

namespace bramble::model::text::jinja {
namespace {

Value Missing(std::string name) { return Value(Undefined{std::move(name)}); }

Value LoopAttribute(const Loop& loop, std::string_view name) {
  const auto size = static_cast<std::int64_t>(loop.items->items.size());
  const auto index = static_cast<std::int64_t>(loop.index0);
  const auto item = [&loop](std::int64_t at) {
    return loop.items->items[static_cast<std::size_t>(at)];
  };
  if (name == "index") return Value(index + 1);
  if (name == "index0") return Value(index);
  if (name == "revindex") return Value(size - index);
  if (name == "revindex0") return Value(size - index - 1);
  if (name == "first") return Value(index == 0);
  if (name == "last") return Value(index + 1 == size);
  if (name == "length") return Value(size);
  if (name == "depth") return Value(static_cast<std::int64_t>(loop.depth));
  if (name == "depth0") return Value(static_cast<std::int64_t>(loop.depth) - 1);
  if (name == "previtem") return index > 0 ? item(index - 1) : Missing("there is no previous item");
  if (name == "nextitem")
    return index + 1 < size ? item(index + 1) : Missing("there is no next item");
  return Missing(std::string("loop.").append(name));
}

const Builtin* FindMethod(const Value& object, std::string_view name) {
  if (object.AsText() != nullptr) return FindTextMethod(name);
  if (object.AsDict() != nullptr) return FindDictMethod(name);
  if (object.AsList() != nullptr) return FindListMethod(name);
  return nullptr;
}

bool HasMethod(const Value& object, std::string_view name) {
  if (object.As<std::shared_ptr<const Loop>>() != nullptr) return name == "cycle";
  return FindMethod(object, name) != nullptr;
}

Value MakeMethod(const Value& object, std::string_view name) {
  return Value(
      std::shared_ptr<const Method>(std::make_shared<Method>(Method{object, std::string(name)})));
}

std::string DescribeMissing(const Value& object, std::string_view name) {
  const std::string type = object.IsNone() ? "None" : object.TypeName();
  return std::string("'").append(type).append("' has no attribute '").append(name).append("'");
}

bool FailUndefined(Context& context, const Value& object) {
  if (!object.IsUndefined()) return false;
  const std::string& name = object.As<Undefined>()->name;
  context.Fail(name.empty() ? "a value" : name,
               name.find(' ') == std::string::npos ? " is undefined" : "");
  return true;
}

Value ItemAt(const std::vector<Value>& items, std::int64_t index) {
  const auto size = static_cast<std::int64_t>(items.size());
  if (index < 0) index += size;
  if (index < 0 || index >= size)
    return Missing("the list has no element " + std::to_string(index));
  return items[static_cast<std::size_t>(index)];
}

Value LetterAt(Context& context, const MarkedString& text, std::int64_t index) {
  const std::vector<std::uint32_t> begins = Characters(context, text);
  const auto size = static_cast<std::int64_t>(begins.size()) - 1;
  if (index < 0) index += size;
  if (index < 0 || index >= size)
    return Missing("the text has no character " + std::to_string(index));
  const auto at = static_cast<std::size_t>(index);
  return context.NewText(text.Part(begins[at], begins[at + 1]));
}

}  // namespace

Value GetAttribute(Context& context, const Value& object, std::string_view name) {
  if (FailUndefined(context, object)) return {};
  if (const auto* loop = object.As<std::shared_ptr<const Loop>>();
      loop != nullptr && name != "cycle") {
    return LoopAttribute(**loop, name);
  }
  if (const auto* space = object.As<std::shared_ptr<Namespace>>()) {
    const Value* value = (*space)->values.Find(name);
    return value != nullptr ? *value : Missing(DescribeMissing(object, name));
  }
  // As in Python, a method hides a key of the same name (x.items), and x['items'] finds the key
  // first.
  if (HasMethod(object, name)) return MakeMethod(object, name);
  if (const Dict* dict = object.AsDict()) {
    if (const Value* value = dict->Find(name)) return *value;
  }
  return Missing(DescribeMissing(object, name));
}

Value GetItem(Context& context, const Value& object, const Value& key) {
  if (FailUndefined(context, object) || !context.budget().Step(key.Bytes() / 256)) return {};
  std::int64_t index = 0;
  const bool is_index = key.AsWhole(index);
  if (const List* list = object.AsList(); list != nullptr && is_index)
    return ItemAt(list->items, index);
  if (const MarkedString* text = object.AsText(); text != nullptr && is_index)
    return LetterAt(context, *text, index);
  if (const Dict* dict = object.AsDict()) {
    if (const Value* value = dict->Find(key)) return *value;
  }
  const MarkedString* name = key.AsText();
  if (name != nullptr) {
    if (HasMethod(object, name->bytes())) return MakeMethod(object, name->bytes());
    if (object.AsDict() == nullptr) return GetAttribute(context, object, name->bytes());
    return Missing(DescribeMissing(object, name->bytes().substr(0, 60)));
  }
  return Missing(object.TypeName() + " has no such element");
}

Value GetPath(Context& context, const Value& object, std::string_view path) {
  Value value = object;
  while (!context.failed()) {
    const std::size_t dot = std::min(path.find('.'), path.size());
    const std::string part(path.substr(0, dot));
    const bool is_number = !part.empty() && part.size() < 10 &&
                           part.find_first_not_of("0123456789") == std::string::npos;
    value = is_number ? GetItem(context, value, Value(static_cast<std::int64_t>(std::stoll(part))))
                      : GetItem(context, value, MakeText(part, true));
    if (dot == path.size()) break;
    path.remove_prefix(dot + 1);
  }
  return value;
}

bool Items(Context& context, const Value& value, std::vector<Value>& items) {
  if (value.IsUndefined()) return true;
  if (const List* list = value.AsList()) {
    if (context.budget().Bytes(list->items.size() * sizeof(Value))) items = list->items;
  } else if (const Dict* dict = value.AsDict()) {
    if (!context.budget().Bytes(dict->size() * sizeof(Value))) return false;
    for (const Dict::Entry& entry : dict->entries()) items.push_back(entry.key);
  } else if (const MarkedString* text = value.AsText()) {
    const std::vector<std::uint32_t> begins = Characters(context, *text);
    for (std::size_t i = 0; i + 1 < begins.size() && !context.failed(); ++i) {
      items.push_back(context.NewText(text->Part(begins[i], begins[i + 1])));
    }
  } else {
    context.Fail("a value of type ", value.TypeName(), " is not iterable");
  }
  return !context.failed();
}

bool Contains(Context& context, const Value& container, const Value& item) {
  if (container.IsUndefined()) return false;
  if (const MarkedString* text = container.AsText()) {
    const MarkedString* part = item.AsText();
    if (part == nullptr) {
      context.Fail("'in <string>' requires a string on its left, not ", item.TypeName());
      return false;
    }
    return context.budget().Step(1 + text->size() / 256) &&
           FindText(text->bytes(), part->bytes(), 0) != std::string::npos;
  }
  if (const Dict* dict = container.AsDict()) {
    return context.budget().Step(1 + item.Bytes() / 256) && dict->Find(item) != nullptr;
  }
  if (const List* list = container.AsList()) {
    return std::any_of(list->items.begin(), list->items.end(),
                       [&](const Value& each) { return Equal(each, item, context.budget()); });
  }
  context.Fail("a value of type ", container.TypeName(), " is not iterable");
  return false;
}

namespace {

// A bound of a slice. False: neither a whole number nor left out.
bool Bound64(const Value& value, std::int64_t if_missing, std::int64_t& bound) {
  bound = if_missing;
  return value.IsUndefined() || value.IsNone() || value.AsWhole(bound);
}

// Python's slice.indices: the places that a slice of `size` elements visits.
std::vector<std::size_t> Places(Context& context, std::int64_t size, const Value& first,
                                const Value& behind, const Value& step_value) {
  std::vector<std::size_t> places;
  std::int64_t step = 1;
  std::int64_t from = 0;
  std::int64_t to = 0;
  bool good = Bound64(step_value, 1, step);
  good = Bound64(first, step < 0 ? size - 1 : 0, from) && good;
  good = Bound64(behind, step < 0 ? -size - 1 : size, to) && good;
  if (!good || step == 0) {
    context.Fail(good ? "the step of a slice is 0" : "the bounds of a slice must be whole numbers");
    return places;
  }
  const auto clamp = [&](std::int64_t bound) {
    if (bound < 0) bound = bound < -size ? -1 : bound + size;  // -1: in front of everything
    if (step > 0) return std::clamp<std::int64_t>(bound, 0, size);
    return std::min(bound, size - 1);
  };
  from = clamp(from);
  to = clamp(to);
  if (!context.budget().Bytes(static_cast<std::size_t>(size) * sizeof(std::size_t))) return places;
  // A step beyond the size visits one element; clamped, so that adding it cannot overflow.
  step = std::clamp<std::int64_t>(step, -size - 1, size + 1);
  for (std::int64_t at = from; step > 0 ? at < to : at > to; at += step)
    places.push_back(static_cast<std::size_t>(at));
  return places;
}

}  // namespace

Value Slice(Context& context, const Value& value, const Value& first, const Value& behind,
            const Value& step) {
  if (FailUndefined(context, value)) return {};
  if (const List* list = value.AsList()) {
    std::vector<Value> items;
    for (const std::size_t at :
         Places(context, static_cast<std::int64_t>(list->items.size()), first, behind, step)) {
      items.push_back(list->items[at]);
    }
    return context.NewList(std::move(items), list->is_tuple);
  }
  const MarkedString* text = value.AsText();
  if (text == nullptr)
    return context.Fail("a value of type ", value.TypeName(), " cannot be sliced");
  const std::vector<std::uint32_t> begins = Characters(context, *text);
  if (begins.empty()) return {};
  const auto places =
      Places(context, static_cast<std::int64_t>(begins.size()) - 1, first, behind, step);
  MarkedString part;
  for (std::size_t i = 0; i < places.size();) {  // runs of neighbours at once
    std::size_t end = i + 1;
    while (end < places.size() && places[end] == places[end - 1] + 1) ++end;
    part.AppendPart(*text, begins[places[i]], begins[places[end - 1] + 1]);
    i = end;
  }
  return context.NewText(std::move(part));
}

}  // namespace bramble::model::text::jinja
