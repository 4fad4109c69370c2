#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "model/text/jinja/budget.h"
#include "model/text/jinja/marked_string.h"

namespace bramble::model::text::jinja {

class Value;
struct Statement;  // ast.h

struct Undefined {
  std::string name;  // what was not there, for messages
};
struct None {};

// A list or a tuple. `depth`: how deep lists and dicts lie in it, itself included.
struct List {
  std::vector<Value> items;
  bool is_tuple = false;
  std::uint32_t depth = 1;
};

// A dict: keys in the order in which they came.
class Dict {
 public:
  struct Entry;

  Dict();
  Dict(const Dict&);
  Dict(Dict&&) noexcept;
  Dict& operator=(const Dict&) = delete;
  Dict& operator=(Dict&&) = delete;
  ~Dict();

  const std::vector<Entry>& entries() const { return entries_; }
  std::size_t size() const;
  // nullptr: no such key, or a value that cannot be one (a list, a dict).
  const Value* Find(const Value& key) const;
  const Value* Find(std::string_view key) const;
  // False: the key cannot be one. A key that is there keeps its place.
  bool Set(const Value& key, Value value);

  std::uint32_t depth = 1;

 private:
  std::vector<Entry> entries_;
  std::unordered_map<std::string, std::size_t> index_;  // by CanonicalKey
};

// namespace(...): the one value that changes. It never lies inside of another value, so that none
// can contain itself.
struct Namespace {
  Dict values;
};

// The variable `loop`.
struct Loop {
  std::shared_ptr<const List> items;
  std::size_t index0 = 0;
  std::uint32_t depth = 1;
};

struct Macro {
  const Statement* definition;
};

// A function of the environment: raise_exception, range, ...
struct Function {
  std::string name;
};

struct Method;

// A value of the template language. Everything but Namespace is immutable once it is shared; copies
// are cheap.
class Value {
 public:
  using Text = std::shared_ptr<MarkedString>;
  using Variant =
      std::variant<Undefined, None, bool, std::int64_t, double, Text, std::shared_ptr<const List>,
                   std::shared_ptr<const Dict>, std::shared_ptr<Namespace>,
                   std::shared_ptr<const Loop>, Macro, Function, std::shared_ptr<const Method>>;

  Value() : data_(Undefined{}) {}
  // Every alternative of the variant is a value.
  template <typename T>
  requires(!std::is_same_v<std::remove_cvref_t<T>, Value>) explicit Value(T data)
      : data_(std::move(data)) {}

  template <typename T>
  const T* As() const {
    return std::get_if<T>(&data_);
  }
  template <typename T>
  T* As() {
    return std::get_if<T>(&data_);
  }

  bool IsUndefined() const { return As<Undefined>() != nullptr; }
  bool IsNone() const { return As<None>() != nullptr; }
  // nullptr unless it is one.
  const MarkedString* AsText() const;
  const List* AsList() const;
  const Dict* AsDict() const;
  // Whole numbers: int and bool (Python's True is 1). Numbers: float too.
  bool AsWhole(std::int64_t& number) const;
  bool AsNumber(double& number) const;

  // Python's truth: empty and zero are false.
  bool IsTrue() const;
  // "str", "list", "NoneType": as Python calls it.
  std::string TypeName() const;
  // How deep lists and dicts lie in it: 0 for plain values.
  std::uint32_t Depth() const;
  // Bytes that it holds itself, about; what a budget counts.
  std::size_t Bytes() const;

 private:
  Variant data_;
};

struct Dict::Entry {
  Value key;
  Value value;
};

// object.name before it is called.
struct Method {
  Value object;
  std::string name;
};

Value MakeText(MarkedString text);
Value MakeText(std::string_view bytes, bool trusted);
Value MakeList(std::vector<Value> items, bool is_tuple = false);
Value MakeDict(Dict dict);

// Python's ==. Pays for every element: lists that share elements may be exponentially large. False
// when over budget.
bool Equal(const Value& a, const Value& b, Budget& budget);
// Python's <; false in `comparable` if these two have no order.
bool Less(const Value& a, const Value& b, Budget& budget, bool& comparable);

}  // namespace bramble::model::text::jinja
