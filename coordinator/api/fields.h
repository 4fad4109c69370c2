#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "coordinator/api/json_body.h"

namespace bramble::coordinator {

// The fields of one object of a request, read strictly: a wrong type or a value out of range is an
// error that names the field. A missing field and null are the same: nothing. The first error is
// kept; read on and ask at the end.
class Fields {
 public:
  // `prefix` stands in front of a field's name in errors: "stream_options.". Requires an object,
  // which outlives this.
  explicit Fields(const Json& object, std::string prefix = {});

  // nullptr for nothing.
  const Json* Find(std::string_view name) const;

  std::optional<bool> Bool(std::string_view name);
  std::optional<double> Number(std::string_view name, double low, double high);
  std::optional<std::int64_t> Integer(std::string_view name, std::int64_t low, std::int64_t high);
  std::optional<std::string> Text(std::string_view name);
  // An object or an array, as it is.
  const Json* Object(std::string_view name);
  const Json* Array(std::string_view name);

  void Fail(std::string_view name, std::string message, std::string code = {});
  // Keeps the error of another reader.
  void Take(const std::optional<ApiError>& error);

  const std::optional<ApiError>& error() const { return error_; }

 private:
  void WrongType(std::string_view name, const Json& value, std::string_view wanted);

  const Json& object_;
  const std::string prefix_;
  std::optional<ApiError> error_;
};

// A value for a message: its JSON, cut.
std::string Shown(const Json& value);

}  // namespace bramble::coordinator
