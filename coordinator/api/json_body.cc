#include "coordinator/api/json_body.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/escape.h"
#include "coordinator/api/joined.h"

namespace bramble::coordinator {
namespace {

// Builds the document itself: the library's own builder looks through an object for every key that
// it adds, which takes a minute for a body of many keys, and keeps the last of two equal keys.
class Builder final : public nlohmann::json_sax<Json> {
 public:
  explicit Builder(Json& out) : out_(out) {}

  bool null() override { return Add(Json(nullptr)) != nullptr; }
  bool boolean(bool value) override { return Add(Json(value)) != nullptr; }
  bool number_integer(number_integer_t value) override { return Add(Json(value)) != nullptr; }
  bool number_unsigned(number_unsigned_t value) override { return Add(Json(value)) != nullptr; }
  bool number_float(number_float_t value, const string_t& /*text*/) override {
    return Add(Json(value)) != nullptr;
  }
  bool string(string_t& value) override { return Add(Json(std::move(value))) != nullptr; }
  bool binary(binary_t& /*value*/) override { return false; }
  bool start_object(std::size_t /*size*/) override { return Open(Json::object()); }
  bool start_array(std::size_t /*size*/) override { return Open(Json::array()); }
  bool key(string_t& name) override {
    key_ = std::move(name);
    return true;
  }
  bool end_object() override {
    const auto& object = stack_.back()->get_ref<const Json::object_t&>();
    std::vector<std::string_view> names;
    names.reserve(object.size());
    for (const auto& entry : object) names.push_back(entry.first);
    std::sort(names.begin(), names.end());
    const auto twice = std::adjacent_find(names.begin(), names.end());
    if (twice != names.end()) {
      return Refuse(std::string(*twice),
                    Joined("the key '", Printable(*twice, 60), "' occurs twice in one object"));
    }
    stack_.pop_back();
    return true;
  }
  bool end_array() override {
    stack_.pop_back();
    return true;
  }
  bool parse_error(std::size_t position, const std::string& /*last*/,
                   const nlohmann::detail::exception& error) override {
    // "[json.exception.parse_error.101] parse error at line 1, column 9: syntax error while ..."
    std::string_view text = error.what();
    if (const std::size_t end = text.find("] "); end != std::string_view::npos)
      text.remove_prefix(end + 2);
    return Refuse(
        {}, Joined("the body is not valid JSON, at byte ", position, ": ", Printable(text, 300)));
  }

  const std::optional<ApiError>& error() const { return error_; }

 private:
  Json* Add(Json value) {
    if (++values_ > kJsonValues) {
      Refuse({}, Joined("the body has more than ", kJsonValues, " JSON values"));
      return nullptr;
    }
    if (stack_.empty()) {
      out_ = std::move(value);
      return &out_;
    }
    Json& parent = *stack_.back();
    if (parent.is_array()) {
      parent.push_back(std::move(value));
      return &parent.back();
    }
    auto& entries = parent.get_ref<Json::object_t&>();
    static_cast<Json::object_t::Container&>(entries).emplace_back(std::move(key_),
                                                                  std::move(value));
    return &entries.back().second;
  }

  bool Open(Json container) {
    if (stack_.size() >= kJsonDepth) {
      return Refuse({}, Joined("the body nests deeper than ", kJsonDepth, " levels"));
    }
    // A parent does not grow while a child is open, so the pointers of the stack stay valid.
    Json* added = Add(std::move(container));
    if (added == nullptr) return false;
    stack_.push_back(added);
    return true;
  }

  bool Refuse(std::string param, std::string message) {
    error_ = BadField(std::move(param), std::move(message), "invalid_json");
    return false;
  }

  Json& out_;
  std::vector<Json*> stack_;
  std::string key_;
  std::size_t values_ = 0;
  std::optional<ApiError> error_;
};

}  // namespace

std::optional<ApiError> ParseBody(std::string_view body, Json& out) {
  Builder builder(out);
  const bool parsed = Json::sax_parse(body.begin(), body.end(), &builder);
  if (builder.error()) return builder.error();
  if (!parsed) return BadField({}, "the body is not valid JSON", "invalid_json");
  if (!out.is_object()) {
    return BadField({}, "the body must be a JSON object", "invalid_json");
  }
  return std::nullopt;
}

}  // namespace bramble::coordinator
