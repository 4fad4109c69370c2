#include "model/files/metadata.h"

#include <array>
#include <cmath>
#include <cstdio>
#include <utility>

#include "model/files/little_endian.h"
#include "model/files/quote.h"

namespace bramble::model::files {
namespace {

// Beyond this a double no longer tells one whole number from the next.
constexpr double kExactWhole = 9007199254740992.0;

Status NoList(const char* of, const MetaValue& value) {
  return Invalid("a list of ", of, " is needed, and it is ", value.ToText());
}

Status TooLong(std::size_t size, std::size_t limit) {
  return Invalid("a list of ", size, ", the limit is ", limit);
}

}  // namespace

std::optional<std::int64_t> MetaValue::Whole() const {
  if (const auto* whole = std::get_if<std::int64_t>(&value)) return *whole;
  const auto* real = std::get_if<double>(&value);
  if (real == nullptr || !(std::fabs(*real) < kExactWhole) || std::floor(*real) != *real) return {};
  return static_cast<std::int64_t>(*real);
}

std::optional<double> MetaValue::Real() const {
  if (const auto* real = std::get_if<double>(&value)) return *real;
  if (const auto* whole = std::get_if<std::int64_t>(&value)) return static_cast<double>(*whole);
  return {};
}

std::optional<bool> MetaValue::Flag() const {
  if (const auto* flag = std::get_if<bool>(&value)) return *flag;
  const auto* whole = std::get_if<std::int64_t>(&value);
  if (whole == nullptr || *whole < 0 || *whole > 1) return {};
  return *whole == 1;
}

std::optional<std::string_view> MetaValue::Text() const {
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  if (const auto* text = std::get_if<std::string_view>(&value)) return *text;
  return {};
}

bool MetaValue::IsList() const {
  return std::holds_alternative<MetaList>(value) || std::holds_alternative<PackedList>(value);
}

std::size_t MetaValue::ListSize() const {
  if (const auto* list = std::get_if<MetaList>(&value)) return list->size();
  if (const auto* packed = std::get_if<PackedList>(&value)) return packed->count;
  return 0;
}

Result<std::vector<double>> MetaValue::Numbers(std::size_t limit) const {
  if (!IsList()) return NoList("numbers", *this);
  if (ListSize() > limit) return TooLong(ListSize(), limit);
  std::vector<double> numbers;
  const auto add = [&numbers](const MetaValue& element) {
    const auto* flag = std::get_if<bool>(&element.value);
    const std::optional<double> real = flag != nullptr ? (*flag ? 1.0 : 0.0) : element.Real();
    if (real) numbers.push_back(*real);
    return real.has_value();
  };
  if (const auto* list = std::get_if<MetaList>(&value)) {
    for (const MetaValue& element : *list) {
      if (!add(element)) return NoList("numbers", *this);
    }
    return numbers;
  }
  const auto& packed = std::get<PackedList>(value);
  const std::size_t step = MetaTypeBytes(packed.element);
  if (step == 0) return NoList("numbers", *this);
  numbers.reserve(packed.count);
  for (std::size_t i = 0; i < packed.count; ++i) {
    add(DecodeScalar(packed.element, packed.bytes.data() + i * step));
  }
  return numbers;
}

Result<std::vector<std::string_view>> MetaValue::Texts(std::size_t limit) const {
  if (!IsList()) return NoList("texts", *this);
  if (ListSize() > limit) return TooLong(ListSize(), limit);
  std::vector<std::string_view> texts;
  texts.reserve(ListSize());
  if (const auto* list = std::get_if<MetaList>(&value)) {
    for (const MetaValue& element : *list) {
      const std::optional<std::string_view> text = element.Text();
      if (!text) return NoList("texts", *this);
      texts.push_back(*text);
    }
    return texts;
  }
  const auto& packed = std::get<PackedList>(value);
  if (packed.element != MetaType::kText) return NoList("texts", *this);
  const std::byte* at = packed.bytes.data();
  for (std::uint64_t i = 0; i < packed.count; ++i) {
    const auto size =
        Load<std::uint64_t>(at);  // the reader has checked that it lies within `bytes`
    texts.emplace_back(reinterpret_cast<const char*>(at + sizeof(size)), size);
    at += sizeof(size) + size;
  }
  return texts;
}

std::string MetaValue::ToText() const {
  if (IsNull()) return "null";
  if (const auto* flag = std::get_if<bool>(&value)) return *flag ? "true" : "false";
  if (const auto* whole = std::get_if<std::int64_t>(&value)) return std::to_string(*whole);
  if (const auto text = Text()) return Quote(*text);
  if (const auto* real = std::get_if<double>(&value)) {
    std::array<char, 32> digits{};
    std::snprintf(digits.data(), digits.size(), "%.9g", *real);
    return digits.data();
  }
  return "a list of " + std::to_string(ListSize());
}

const MetaValue* FindValue(const Metadata& metadata, std::string_view key) {
  const auto found = metadata.find(key);
  return found == metadata.end() || found->second.IsNull() ? nullptr : &found->second;
}

std::size_t MetaTypeBytes(MetaType type) {
  switch (type) {
    case MetaType::kUint8:
    case MetaType::kInt8:
    case MetaType::kBool:
      return 1;
    case MetaType::kUint16:
    case MetaType::kInt16:
      return 2;
    case MetaType::kUint32:
    case MetaType::kInt32:
    case MetaType::kFloat32:
      return 4;
    case MetaType::kUint64:
    case MetaType::kInt64:
    case MetaType::kFloat64:
      return 8;
    default:
      return 0;
  }
}

MetaValue DecodeScalar(MetaType type, const std::byte* bytes) {
  const auto whole = [](std::int64_t number) { return MetaValue{number}; };
  switch (type) {
    case MetaType::kUint8:
      return whole(Load<std::uint8_t>(bytes));
    case MetaType::kInt8:
      return whole(Load<std::int8_t>(bytes));
    case MetaType::kUint16:
      return whole(Load<std::uint16_t>(bytes));
    case MetaType::kInt16:
      return whole(Load<std::int16_t>(bytes));
    case MetaType::kUint32:
      return whole(Load<std::uint32_t>(bytes));
    case MetaType::kInt32:
      return whole(Load<std::int32_t>(bytes));
    case MetaType::kInt64:
      return whole(Load<std::int64_t>(bytes));
    case MetaType::kUint64: {
      const auto number = Load<std::uint64_t>(bytes);
      if (std::in_range<std::int64_t>(number)) return whole(static_cast<std::int64_t>(number));
      return {static_cast<double>(number)};
    }
    case MetaType::kFloat32:
      return {static_cast<double>(Load<float>(bytes))};
    case MetaType::kFloat64:
      return {Load<double>(bytes)};
    case MetaType::kBool:
      return {Load<std::uint8_t>(bytes) != 0};
    default:
      return {};
  }
}

}  // namespace bramble::model::files
