#include "model/families/fields.h"

#include <cmath>
#include <sstream>
#include <utility>

#include "model/files/quote.h"

namespace bramble::model::families {
namespace {

constexpr std::size_t kMostListed = 4096;

// One number, or the number that all elements of a list are.
std::optional<std::int64_t> OneWhole(const files::MetaValue& value) {
  if (!value.IsList()) return value.Whole();
  const auto numbers = value.Numbers(kMostListed);
  if (!numbers.ok() || numbers->empty()) return {};
  for (const double number : *numbers) {
    if (number != numbers->front()) return {};
  }
  return files::MetaValue{numbers->front()}.Whole();
}

template <typename T>
std::string Range(const char* kind, const char* from, T least, T most) {
  std::ostringstream text;
  text << kind << from << least << " to " << most;
  return text.str();
}

}  // namespace

Fields::Fields(const files::ModelFiles& files, std::string architecture, std::string section)
    : files_(files), architecture_(std::move(architecture)), section_(std::move(section)) {}

std::string Fields::FullName(Key key) const {
  if (is_hf()) return section_ + std::string(key.hf);
  return architecture_ + "." + std::string(key.gguf);
}

const files::MetaValue* Fields::Find(Key key) const {
  if ((is_hf() ? key.hf : key.gguf).empty()) return nullptr;
  return files::FindValue(files_.metadata, FullName(key));
}

std::string Fields::Place(Key key) const {
  return (is_hf() ? "config.json: " : "metadata key ") + files::Quote(FullName(key));
}

void Fields::Refuse(Status status) {
  if (status_.ok()) status_ = std::move(status);
}

void Fields::Missing(Key key) { Refuse(Invalid(Place(key), " is missing")); }

void Fields::Wrong(Key key, const files::MetaValue& value, std::string_view needed) {
  Refuse(Invalid(Place(key), " is ", value.ToText(), ", and must be ", needed));
}

std::uint32_t Fields::CheckCount(Key key, const files::MetaValue& value, std::uint32_t least,
                                 std::uint32_t most) {
  const std::optional<std::int64_t> whole = OneWhole(value);
  if (whole && *whole >= least && *whole <= most) return static_cast<std::uint32_t>(*whole);
  if (value.IsList()) {
    Wrong(key, value, Range("one number for all layers, ", "", least, most));
  } else {
    Wrong(key, value, Range("a whole number, ", "", least, most));
  }
  return least;
}

std::uint32_t Fields::Count(Key key, std::uint32_t least, std::uint32_t most) {
  const files::MetaValue* value = Find(key);
  if (value != nullptr) return CheckCount(key, *value, least, most);
  Missing(key);
  return least;
}

std::uint32_t Fields::Count(Key key, std::uint32_t least, std::uint32_t most,
                            std::uint32_t if_missing) {
  const files::MetaValue* value = Find(key);
  return value == nullptr ? if_missing : CheckCount(key, *value, least, most);
}

std::uint32_t Fields::CountOrHfDefault(Key key, std::uint32_t least, std::uint32_t most,
                                       std::uint32_t hf_default) {
  return is_hf() ? Count(key, least, most, hf_default) : Count(key, least, most);
}

double Fields::RealOrHfDefault(Key key, double above, double most, double hf_default) {
  return is_hf() ? Real(key, above, most, hf_default) : Real(key, above, most);
}

double Fields::CheckReal(Key key, const files::MetaValue& value, double above, double most) {
  const std::optional<double> real = value.Real();
  if (real && std::isfinite(*real) && *real > above && *real <= most) return *real;
  Wrong(key, value, Range("a number ", "above ", above, most));
  return most;
}

double Fields::Real(Key key, double above, double most) {
  const files::MetaValue* value = Find(key);
  if (value != nullptr) return CheckReal(key, *value, above, most);
  Missing(key);
  return most;
}

double Fields::Real(Key key, double above, double most, double if_missing) {
  const files::MetaValue* value = Find(key);
  return value == nullptr ? if_missing : CheckReal(key, *value, above, most);
}

double Fields::OptionalReal(Key key, double most) {
  const files::MetaValue* value = Find(key);
  const bool none = value == nullptr || value->Real() == 0.0;
  return none ? 0 : CheckReal(key, *value, 0, most);
}

bool Fields::Flag(Key key, bool if_missing) {
  const files::MetaValue* value = Find(key);
  if (value == nullptr) return if_missing;
  const std::optional<bool> flag = value->Flag();
  if (!flag) Wrong(key, *value, "true or false");
  return flag.value_or(if_missing);
}

std::string Fields::Text(Key key, std::string_view if_missing) {
  const files::MetaValue* value = Find(key);
  if (value == nullptr) return std::string(if_missing);
  const std::optional<std::string_view> text = value->Text();
  if (!text) Wrong(key, *value, "a text");
  return std::string(text.value_or(if_missing));
}

}  // namespace bramble::model::families
