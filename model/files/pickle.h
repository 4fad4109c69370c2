#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "common/status.h"

// Python's pickles (https://github.com/python/cpython/blob/main/Lib/pickletools.py), read as data:
// the reader knows no function and calls none. A pickle names the functions that would build its
// objects; each name must be on a list of those that PyTorch's own files need (pickle.cc), and what
// their results look like is written down there. Any other name is refused, and named.
namespace bramble::model::files {

enum class PickleKind : std::uint8_t {
  kNone,
  kFlag,
  kWhole,
  kReal,
  kText,     // text or bytes
  kList,     // a list, a tuple or a set
  kDict,     // items: key, value, key, value, ...; also the attributes of a plain object
  kName,     // a name as such: a type of PyTorch
  kStorage,  // items: the name of its type
  kTensor,   // items: its storage, its sizes, its strides (lists)
  kOther,    // something that no model needs: a device, a number of numpy
};

struct PickleValue {
  PickleKind kind = PickleKind::kNone;
  bool flag = false;           // kFlag; kDict: it takes attributes
  std::uint32_t list = 0;      // of kinds with items: Pickle::items
  std::int64_t whole = 0;      // kWhole; kStorage: its elements; kTensor: its first element
  double real = 0;             // kReal
  std::string_view text = {};  // kText, kName ("torch.FloatStorage"); kStorage: its key; kTensor:
                               // the name of its type, where it is not its storage's
};

// A pickle that has been read. Its texts point into the bytes that it was read from. Values may be
// shared, and may contain themselves: whoever walks them bounds the walk. Immutable: any thread.
class Pickle {
 public:
  // Reads one pickle from the beginning of `bytes`; `length` is how many of them it has. Refuses
  // names that are not on the list, opcodes that PyTorch does not write, more than 2^20 values, and
  // whatever is not well formed.
  static Result<Pickle> Read(std::span<const std::byte> bytes, std::size_t* length);

  // Places are 0 .. size() - 1.
  std::size_t size() const { return values_.size(); }
  const PickleValue& root() const { return values_[root_]; }
  const PickleValue& at(std::uint32_t place) const { return values_[place]; }
  // The places of the items of a value that has some; empty: it has none.
  std::span<const std::uint32_t> items(const PickleValue& value) const;
  // What stands under a text in a dict; nullptr: nothing.
  const PickleValue* Find(const PickleValue& dict, std::string_view key) const;

 private:
  friend class PickleReader;
  std::vector<PickleValue> values_;
  std::vector<std::vector<std::uint32_t>> lists_;
  std::uint32_t root_ = 0;
};

}  // namespace bramble::model::files
