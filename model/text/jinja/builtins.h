#pragma once

#include <string_view>
#include <vector>

#include "model/text/jinja/context.h"
#include "model/text/jinja/value.h"

// What the language can do without a template's help: filters, tests, methods and functions, each a
// row of a table.
namespace bramble::model::text::jinja {

// The arguments of a call, in the order of its parameters.
class Bound {
 public:
  Bound(const CallArguments& all, std::vector<const Value*> values)
      : all_(all), values_(std::move(values)) {}

  // nullptr: not given.
  const Value* At(std::size_t index) const {
    return index < values_.size() ? values_[index] : nullptr;
  }
  const CallArguments& all() const { return all_; }
  // The named argument, also of a row that takes any.
  const Value* Named(std::string_view name) const;

  // An argument as a text, a whole number or a flag; the default if it is missing. A context error,
  // with `what` in it, if it is something else.
  bool Text(Context& context, std::size_t index, std::string_view what, MarkedString& text) const;
  std::int64_t Whole(Context& context, std::size_t index, std::string_view what,
                     std::int64_t if_missing) const;
  bool Flag(std::size_t index, bool if_missing) const;

 private:
  const CallArguments& all_;
  std::vector<const Value*> values_;
};

struct Builtin {
  std::string_view name;
  // Names with a space between; "?" behind a name: it may be left out; "*": any arguments.
  std::string_view parameters;
  // `input`: what is filtered or tested, the object of a method; undefined for a function.
  Value (*run)(Context& context, const Value& input, const Bound& arguments);
};

// nullptr: not known.
const Builtin* FindFilter(std::string_view name);
const Builtin* FindTest(std::string_view name);  // its result is a bool
const Builtin* FindFunction(std::string_view name);
const Builtin* FindTextMethod(std::string_view name);
const Builtin* FindDictMethod(std::string_view name);
const Builtin* FindListMethod(std::string_view name);

// The parts of FindFilter's table.
const Builtin* FindTextFilter(std::string_view name);
const Builtin* FindListFilter(std::string_view name);
const Builtin* FindNumberFilter(std::string_view name);

// Checks the arguments against the parameters and runs it. `what`: "filter", for messages.
Value Run(Context& context, const Builtin& builtin, std::string_view what, const Value& input,
          const CallArguments& arguments);

template <std::size_t n>
const Builtin* FindRow(const Builtin (&rows)[n], std::string_view name) {
  for (const Builtin& row : rows) {
    if (row.name == name) return &row;
  }
  return nullptr;
}

// object.name and object[key], as Jinja looks them up; undefined if there is none. A context error
// for an undefined object.
Value GetAttribute(Context& context, const Value& object, std::string_view name);
Value GetItem(Context& context, const Value& object, const Value& key);
// "a.b.0" as filters take it.
Value GetPath(Context& context, const Value& object, std::string_view path);

// What a loop over `value` visits. A context error, and false, if it is not iterable.
bool Items(Context& context, const Value& value, std::vector<Value>& items);

// Python's `in`.
bool Contains(Context& context, const Value& container, const Value& item);

// value[first:behind:step]; undefined bounds are open.
Value Slice(Context& context, const Value& value, const Value& first, const Value& behind,
            const Value& step);

}  // namespace bramble::model::text::jinja
