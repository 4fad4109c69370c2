#include "coordinator/api/fields.h"

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/escape.h"
#include "coordinator/api/joined.h"

namespace bramble::coordinator {
std::string Shown(const Json& value) {
  if (value.is_object()) return "an object";
  if (value.is_array()) return "an array";
  return Printable(value.dump(-1, ' ', false, Json::error_handler_t::replace), 60);
}

Fields::Fields(const Json& object, std::string prefix)
    : object_(object), prefix_(std::move(prefix)) {}

const Json* Fields::Find(std::string_view name) const {
  for (const auto& entry : object_.get_ref<const Json::object_t&>()) {
    if (entry.first == name) return entry.second.is_null() ? nullptr : &entry.second;
  }
  return nullptr;
}

std::optional<bool> Fields::Bool(std::string_view name) {
  const Json* value = Find(name);
  if (value == nullptr) return std::nullopt;
  if (value->is_boolean()) return value->get<bool>();
  WrongType(name, *value, "true or false");
  return std::nullopt;
}

std::optional<double> Fields::Number(std::string_view name, double low, double high) {
  const Json* value = Find(name);
  if (value == nullptr) return std::nullopt;
  const double number =
      value->is_number() ? value->get<double>() : std::numeric_limits<double>::quiet_NaN();
  if (number >= low && number <= high) return number;
  WrongType(name, *value, Joined("a number from ", low, " to ", high));
  return std::nullopt;
}

std::optional<std::int64_t> Fields::Integer(std::string_view name, std::int64_t low,
                                            std::int64_t high) {
  const Json* value = Find(name);
  if (value == nullptr) return std::nullopt;
  // An unsigned value above the signed range must not wrap into it.
  const bool fits =
      value->is_number_integer() &&
      (!value->is_number_unsigned() ||
       value->get<std::uint64_t>() <= std::uint64_t{std::numeric_limits<std::int64_t>::max()});
  if (fits) {
    const auto number = value->get<std::int64_t>();
    if (number >= low && number <= high) return number;
  }
  WrongType(name, *value, Joined("an integer from ", low, " to ", high));
  return std::nullopt;
}

std::optional<std::string> Fields::Text(std::string_view name) {
  const Json* value = Find(name);
  if (value == nullptr) return std::nullopt;
  if (value->is_string()) return value->get<std::string>();
  WrongType(name, *value, "a string");
  return std::nullopt;
}

const Json* Fields::Object(std::string_view name) {
  const Json* value = Find(name);
  if (value == nullptr || value->is_object()) return value;
  WrongType(name, *value, "an object");
  return nullptr;
}

const Json* Fields::Array(std::string_view name) {
  const Json* value = Find(name);
  if (value == nullptr || value->is_array()) return value;
  WrongType(name, *value, "an array");
  return nullptr;
}

void Fields::Fail(std::string_view name, std::string message, std::string code) {
  if (!error_) error_ = BadField(prefix_ + std::string(name), std::move(message), std::move(code));
}

void Fields::Take(const std::optional<ApiError>& error) {
  if (!error_) error_ = error;
}

void Fields::WrongType(std::string_view name, const Json& value, std::string_view wanted) {
  Fail(name, Joined("'", prefix_, name, "' must be ", wanted, ", it is ", Shown(value)));
}

}  // namespace bramble::coordinator
