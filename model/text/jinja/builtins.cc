#include "model/text/jinja/builtins.h"

#include <algorithm>

namespace bramble::model::text::jinja {
namespace {

// One word of a parameter list.
std::string_view TakeWord(std::string_view& rest) {
  const std::size_t space = std::min(rest.find(' '), rest.size());
  const std::string_view word = rest.substr(0, space);
  rest.remove_prefix(std::min(space + 1, rest.size()));
  return word;
}

}  // namespace

const Value* Bound::Named(std::string_view name) const {
  for (const auto& [given, value] : all_.named) {
    if (given == name) return &value;
  }
  return nullptr;
}

bool Bound::Text(Context& context, std::size_t index, std::string_view what,
                 MarkedString& text) const {
  const Value* value = At(index);
  if (value == nullptr) return true;
  if (value->AsText() == nullptr) {
    context.Fail(what, " must be a string, not ", value->TypeName());
    return false;
  }
  text = *value->AsText();
  return true;
}

std::int64_t Bound::Whole(Context& context, std::size_t index, std::string_view what,
                          std::int64_t if_missing) const {
  const Value* value = At(index);
  std::int64_t whole = if_missing;
  if (value != nullptr && !value->AsWhole(whole)) {
    context.Fail(what, " must be a whole number, not ", value->TypeName());
  }
  return whole;
}

bool Bound::Flag(std::size_t index, bool if_missing) const {
  const Value* value = At(index);
  return value == nullptr ? if_missing : value->IsTrue();
}

const Builtin* FindFilter(std::string_view name) {
  for (const auto find : {FindTextFilter, FindListFilter, FindNumberFilter}) {
    if (const Builtin* row = find(name)) return row;
  }
  return nullptr;
}

Value Run(Context& context, const Builtin& builtin, std::string_view what, const Value& input,
          const CallArguments& arguments) {
  if (builtin.parameters == "*") return builtin.run(context, input, Bound(arguments, {}));
  std::vector<const Value*> values;
  std::size_t named = 0;
  for (std::string_view rest = builtin.parameters; !rest.empty();) {
    std::string_view name = TakeWord(rest);
    const bool optional = name.ends_with('?');
    if (optional) name.remove_suffix(1);
    const Value* value = values.size() < arguments.positional.size()
                             ? &arguments.positional[values.size()]
                             : nullptr;
    for (const auto& [given, named_value] : arguments.named) {
      if (given != name) continue;
      if (value != nullptr)
        return context.Fail(what, " '", builtin.name, "' got its argument '", name, "' twice");
      value = &named_value;
      ++named;
    }
    if (value == nullptr && !optional)
      return context.Fail(what, " '", builtin.name, "' lacks its argument '", name, "'");
    values.push_back(value);
  }
  if (arguments.positional.size() > values.size() || named < arguments.named.size()) {
    return context.Fail(what, " '", builtin.name,
                        "' got an argument that it does not know; it takes (", builtin.parameters,
                        ")");
  }
  return builtin.run(context, input, Bound(arguments, std::move(values)));
}

}  // namespace bramble::model::text::jinja
