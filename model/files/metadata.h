#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/status.h"

namespace bramble::model::files {

// The types of GGUF's values, with the numbers of the file format
// (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md).
enum class MetaType : std::uint32_t {
  kUint8 = 0,
  kInt8 = 1,
  kUint16 = 2,
  kInt16 = 3,
  kUint32 = 4,
  kInt32 = 5,
  kFloat32 = 6,
  kBool = 7,
  kText = 8,
  kArray = 9,
  kUint64 = 10,
  kInt64 = 11,
  kFloat64 = 12,
};

// A list as it lies in a GGUF file: checked to be whole, decoded only when somebody asks, because a
// vocabulary has a quarter of a million entries and `inspect` wants none of them.
struct PackedList {
  MetaType element = MetaType::kUint8;
  std::uint64_t count = 0;
  std::span<const std::byte> bytes;
};

struct MetaValue;
using MetaList = std::vector<MetaValue>;

// One value of a model's description: null, a flag, a whole number, a real number, a text or a
// list. A whole number that does not fit is kept as a real one. Texts of a GGUF file stay in the
// file.
struct MetaValue {
  std::variant<std::monostate, bool, std::int64_t, double, std::string, std::string_view, MetaList,
               PackedList>
      value;

  bool IsNull() const { return std::holds_alternative<std::monostate>(value); }
  // A whole number; also a real one without a fraction, as 64.0 (JSON writers do that).
  std::optional<std::int64_t> Whole() const;
  std::optional<double> Real() const;
  std::optional<bool> Flag() const;  // also the numbers 0 and 1
  std::optional<std::string_view> Text() const;
  bool IsList() const;
  std::size_t ListSize() const;  // 0 unless IsList()

  // The elements of a list of numbers (flags count as 0 and 1) or of texts. InvalidArgument unless
  // it is such a list of at most `limit` elements. The texts point into this value, or into the
  // file.
  Result<std::vector<double>> Numbers(std::size_t limit) const;
  Result<std::vector<std::string_view>> Texts(std::size_t limit) const;

  // For messages: "12", "'silu'", "a list of 3". Escaped and cut.
  std::string ToText() const;
};

// A model's description by key. JSON objects are flattened: "rope_scaling.factor".
using Metadata = std::map<std::string, MetaValue, std::less<>>;

// nullptr: there is none, or it is null.
const MetaValue* FindValue(const Metadata& metadata, std::string_view key);

// Bytes of one element of a fixed-size type; 0 for texts, lists and unknown types.
std::size_t MetaTypeBytes(MetaType type);

// The value of `bytes` (MetaTypeBytes of them) as a fixed-size type.
MetaValue DecodeScalar(MetaType type, const std::byte* bytes);

}  // namespace bramble::model::files
