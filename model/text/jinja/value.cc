#include "model/text/jinja/value.h"

#include <algorithm>
#include <cmath>

namespace bramble::model::text::jinja {
namespace {

// Equal keys (1, 1.0 and True are) have equal canonical keys. Empty: no key.
std::string CanonicalKey(const Value& key) {
  if (const MarkedString* text = key.AsText()) return std::string(1, 's').append(text->bytes());
  if (key.IsNone()) return "n";
  std::int64_t whole = 0;
  if (key.AsWhole(whole)) return std::string(1, 'i').append(std::to_string(whole));
  if (const double* real = key.As<double>()) {
    if (*real == std::floor(*real) && std::fabs(*real) < 1e15) {
      return std::string(1, 'i').append(std::to_string(static_cast<std::int64_t>(*real)));
    }
    return std::string(1, 'f').append(std::to_string(*real));
  }
  return {};
}

bool PayForTexts(const Value& a, const Value& b, Budget& budget) {
  return budget.Step(std::min(a.AsText()->size(), b.AsText()->size()) / 256);
}

bool EqualLists(const List& a, const List& b, Budget& budget) {
  return a.is_tuple == b.is_tuple &&
         std::equal(a.items.begin(), a.items.end(), b.items.begin(), b.items.end(),
                    [&budget](const Value& left, const Value& right) {
                      return Equal(left, right, budget);
                    });
}

bool EqualDicts(const Dict& a, const Dict& b, Budget& budget) {
  if (a.size() != b.size()) return false;
  return std::all_of(a.entries().begin(), a.entries().end(), [&](const Dict::Entry& entry) {
    const Value* other = b.Find(entry.key);
    return other != nullptr && Equal(entry.value, *other, budget);
  });
}

}  // namespace

Dict::Dict() = default;
Dict::Dict(const Dict&) = default;
Dict::Dict(Dict&&) noexcept = default;
Dict::~Dict() = default;

std::size_t Dict::size() const { return entries_.size(); }

const Value* Dict::Find(const Value& key) const {
  const auto found = index_.find(CanonicalKey(key));
  return found == index_.end() ? nullptr : &entries_[found->second].value;
}

const Value* Dict::Find(std::string_view key) const {
  const auto found = index_.find(std::string(1, 's').append(key));
  return found == index_.end() ? nullptr : &entries_[found->second].value;
}

bool Dict::Set(const Value& key, Value value) {
  std::string canonical = CanonicalKey(key);
  if (canonical.empty()) return false;
  depth = std::max(depth, value.Depth() + 1);
  const auto [place, is_new] = index_.try_emplace(std::move(canonical), entries_.size());
  if (is_new) {
    entries_.push_back({key, std::move(value)});
  } else {
    entries_[place->second].value = std::move(value);
  }
  return true;
}

const MarkedString* Value::AsText() const {
  const Text* text = As<Text>();
  return text == nullptr ? nullptr : text->get();
}

const List* Value::AsList() const {
  const auto* list = As<std::shared_ptr<const List>>();
  return list == nullptr ? nullptr : list->get();
}

const Dict* Value::AsDict() const {
  const auto* dict = As<std::shared_ptr<const Dict>>();
  return dict == nullptr ? nullptr : dict->get();
}

bool Value::AsWhole(std::int64_t& number) const {
  if (const bool* flag = As<bool>()) {
    number = *flag ? 1 : 0;
    return true;
  }
  const auto* whole = As<std::int64_t>();
  if (whole != nullptr) number = *whole;
  return whole != nullptr;
}

bool Value::AsNumber(double& number) const {
  std::int64_t whole = 0;
  if (AsWhole(whole)) {
    number = static_cast<double>(whole);
    return true;
  }
  const auto* real = As<double>();
  if (real != nullptr) number = *real;
  return real != nullptr;
}

bool Value::IsTrue() const {
  if (IsUndefined() || IsNone()) return false;
  double number = 0;
  if (AsNumber(number)) return number != 0;
  if (const MarkedString* text = AsText()) return !text->empty();
  if (const List* list = AsList()) return !list->items.empty();
  if (const Dict* dict = AsDict()) return dict->size() > 0;
  return true;
}

std::string Value::TypeName() const {
  if (AsList() != nullptr) return AsList()->is_tuple ? "tuple" : "list";
  constexpr const char* kNames[] = {"Undefined", "NoneType", "bool",  "int",       "float",
                                    "str",       "list",     "dict",  "Namespace", "loop",
                                    "Macro",     "function", "method"};
  return kNames[data_.index()];
}

std::uint32_t Value::Depth() const {
  if (const List* list = AsList()) return list->depth;
  if (const Dict* dict = AsDict()) return dict->depth;
  if (const auto* method = As<std::shared_ptr<const Method>>())
    return (*method)->object.Depth() + 1;
  if (const auto* loop = As<std::shared_ptr<const Loop>>()) return (*loop)->items->depth + 1;
  return 0;
}

std::size_t Value::Bytes() const {
  if (const MarkedString* text = AsText()) return sizeof(MarkedString) + text->size();
  if (const List* list = AsList()) return sizeof(List) + list->items.size() * sizeof(Value);
  if (const Dict* dict = AsDict()) return sizeof(Dict) + dict->size() * 4 * sizeof(Value);
  return sizeof(Value);
}

Value MakeText(MarkedString text) { return Value(std::make_shared<MarkedString>(std::move(text))); }

Value MakeText(std::string_view bytes, bool trusted) {
  return MakeText(MarkedString(bytes, trusted));
}

Value MakeList(std::vector<Value> items, bool is_tuple) {
  std::uint32_t depth = 1;
  for (const Value& item : items) depth = std::max(depth, item.Depth() + 1);
  return Value(
      std::shared_ptr<const List>(std::make_shared<List>(List{std::move(items), is_tuple, depth})));
}

Value MakeDict(Dict dict) {
  return Value(std::shared_ptr<const Dict>(std::make_shared<Dict>(std::move(dict))));
}

bool Equal(const Value& a, const Value& b, Budget& budget) {
  if (!budget.Step()) return false;
  std::int64_t whole_a = 0;
  std::int64_t whole_b = 0;
  if (a.AsWhole(whole_a) && b.AsWhole(whole_b)) return whole_a == whole_b;
  double real_a = 0;
  double real_b = 0;
  if (a.AsNumber(real_a) && b.AsNumber(real_b)) return real_a == real_b;
  if (a.AsText() != nullptr && b.AsText() != nullptr)
    return PayForTexts(a, b, budget) && a.AsText()->bytes() == b.AsText()->bytes();
  if (a.AsList() != nullptr && b.AsList() != nullptr)
    return a.AsList() == b.AsList() || EqualLists(*a.AsList(), *b.AsList(), budget);
  if (a.AsDict() != nullptr && b.AsDict() != nullptr)
    return a.AsDict() == b.AsDict() || EqualDicts(*a.AsDict(), *b.AsDict(), budget);
  if (const auto* space = a.As<std::shared_ptr<Namespace>>()) {
    const auto* other = b.As<std::shared_ptr<Namespace>>();
    return other != nullptr && *space == *other;
  }
  return (a.IsNone() && b.IsNone()) || (a.IsUndefined() && b.IsUndefined());
}

bool Less(const Value& a, const Value& b, Budget& budget, bool& comparable) {
  comparable = true;
  if (!budget.Step()) return false;
  std::int64_t whole_a = 0;
  std::int64_t whole_b = 0;
  if (a.AsWhole(whole_a) && b.AsWhole(whole_b)) return whole_a < whole_b;
  double real_a = 0;
  double real_b = 0;
  if (a.AsNumber(real_a) && b.AsNumber(real_b)) return real_a < real_b;
  // UTF-8 sorts as its code points do.
  if (a.AsText() != nullptr && b.AsText() != nullptr)
    return PayForTexts(a, b, budget) && a.AsText()->bytes() < b.AsText()->bytes();
  comparable = a.AsList() != nullptr && b.AsList() != nullptr &&
               a.AsList()->is_tuple == b.AsList()->is_tuple;
  if (!comparable) return false;
  const auto& left = a.AsList()->items;
  const auto& right = b.AsList()->items;
  for (std::size_t i = 0; i < std::min(left.size(), right.size()) && comparable; ++i) {
    if (!Equal(left[i], right[i], budget)) return Less(left[i], right[i], budget, comparable);
  }
  return left.size() < right.size();
}

}  // namespace bramble::model::text::jinja
