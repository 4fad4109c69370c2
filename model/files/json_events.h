#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "common/status.h"
#include "model/files/quote.h"

// For the .cc files of this folder only: the JSON library stays out of other headers.
namespace bramble::model::files {

// Receives a JSON text event by event: a million entries are then never in memory at once. A reader
// derives from it and overrides what it takes; everything else is passed over. The first error ends
// the parse.
class JsonEvents : public nlohmann::json_sax<nlohmann::json> {
 public:
  // The error, if Parse has returned false.
  const Status& status() const { return status_; }

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(std::size_t) override { return true; }
  bool key(string_t&) override { return true; }
  bool end_object() override { return true; }
  bool start_array(std::size_t) override { return true; }
  bool end_array() override { return true; }

  bool parse_error(std::size_t position, const std::string& token,
                   const nlohmann::detail::exception&) override {
    return Fail(Invalid("not JSON: unexpected ", Quote(token), " at byte ", position));
  }

 protected:
  JsonEvents() = default;

  // Keeps the first error; always false, which ends the parse.
  bool Fail(Status status) {
    if (status_.ok()) status_ = std::move(status);
    return false;
  }

 private:
  Status status_;
};

// Runs `text` through `events`.
inline Status ParseJson(std::string_view text, JsonEvents* events) {
  if (nlohmann::json::sax_parse(text, events)) return {};
  return events->status().ok() ? Invalid("not JSON") : events->status();
}

}  // namespace bramble::model::files
