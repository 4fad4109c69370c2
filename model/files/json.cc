#include "model/files/json.h"

#include <string>
#include <utility>
#include <vector>

#include "model/files/json_events.h"

namespace bramble::model::files {
namespace {

constexpr std::size_t kDeepest = 32;

class Flattener final : public JsonEvents {
 public:
  explicit Flattener(std::size_t most_values) : most_values_(most_values) {}

  Metadata Take() { return std::move(metadata_); }

  bool null() override { return Add({}); }
  bool boolean(bool value) override { return Add({value}); }
  bool number_integer(number_integer_t value) override { return Add({std::int64_t{value}}); }
  bool number_unsigned(number_unsigned_t value) override {
    if (std::in_range<std::int64_t>(value)) return Add({static_cast<std::int64_t>(value)});
    return Add({static_cast<double>(value)});
  }
  bool number_float(number_float_t value, const string_t&) override { return Add({value}); }
  bool string(string_t& value) override { return Add({std::move(value)}); }

  bool key(string_t& value) override {
    if (lists_ == 0) prefix_.replace(ends_.back(), std::string::npos, value);
    return true;
  }

  bool start_object(std::size_t) override {
    if (!Enter()) return false;
    if (lists_ > 0) {
      ++skipped_;
    } else {
      if (!ends_.empty()) prefix_ += '.';
      ends_.push_back(prefix_.size());
    }
    return true;
  }
  bool end_object() override {
    --depth_;
    if (lists_ > 0) {
      --skipped_;
    } else {
      ends_.pop_back();
    }
    return true;
  }

  bool start_array(std::size_t) override {
    if (ends_.empty()) return Fail(Invalid("a JSON object is needed, and it is a list"));
    if (!Enter()) return false;
    if (lists_++ == 0) list_.clear();
    return true;
  }
  bool end_array() override {
    --depth_;
    if (--lists_ > 0) return true;
    if (++values_ > most_values_) return Fail(Invalid("more than ", most_values_, " values"));
    return Store({std::exchange(list_, {})});
  }

 private:
  bool Enter() {
    if (++depth_ <= kDeepest) return true;
    return Fail(Invalid("JSON deeper than ", kDeepest));
  }

  bool Add(MetaValue value) {
    if (ends_.empty()) return Fail(Invalid("a JSON object is needed, and it is ", value.ToText()));
    if (++values_ > most_values_) return Fail(Invalid("more than ", most_values_, " values"));
    if (lists_ == 0) return Store(std::move(value));
    if (lists_ == 1 && skipped_ == 0) list_.push_back(std::move(value));
    return true;
  }

  bool Store(MetaValue value) {
    if (metadata_.emplace(prefix_, std::move(value)).second) return true;
    return Fail(Invalid("the key ", Quote(prefix_), " stands there twice"));
  }

  std::size_t most_values_;
  std::size_t values_ = 0;
  Metadata metadata_;
  std::string prefix_;             // the key of the value that comes next
  std::vector<std::size_t> ends_;  // how much of prefix_ belongs to each object that is open
  std::size_t depth_ = 0;
  std::size_t lists_ = 0;    // that are open
  std::size_t skipped_ = 0;  // objects that are open inside of a list
  MetaList list_;
};

// The texts under one key.
class TextCollector final : public JsonEvents {
 public:
  TextCollector(std::string_view key, std::size_t most) : wanted_(key), most_(most) {}

  std::vector<std::string> Take() { return std::move(texts_); }

  bool key(string_t& value) override {
    matches_ = value == wanted_;
    return true;
  }
  bool string(string_t& value) override {
    if (!matches_) return true;
    if (texts_.size() == most_) return Fail(Invalid("more than ", most_, " of ", Quote(wanted_)));
    texts_.push_back(std::move(value));
    return true;
  }
  bool start_object(std::size_t) override { return Enter(); }
  bool start_array(std::size_t) override { return Enter(); }
  bool end_object() override { return Leave(); }
  bool end_array() override { return Leave(); }

 private:
  bool Enter() {
    matches_ = false;
    if (++depth_ <= kDeepest) return true;
    return Fail(Invalid("JSON deeper than ", kDeepest));
  }
  bool Leave() {
    matches_ = false;
    --depth_;
    return true;
  }

  std::string wanted_;
  std::size_t most_;
  bool matches_ = false;  // the value that comes next stands under the key
  std::size_t depth_ = 0;
  std::vector<std::string> texts_;
};

// With null, and spaces, in place of Infinity and -Infinity outside of texts: positions stay.
std::string WithoutInfinities(std::string_view text) {
  constexpr std::string_view kInfinity = "Infinity";
  constexpr std::string_view kNull = "null    ";
  std::string clean(text);
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '"') quoted = !quoted;
    if (quoted && text[i] == '\\') ++i;
    if (quoted || text.substr(i, kInfinity.size()) != kInfinity) continue;
    clean.replace(i, kInfinity.size(), kNull);
    if (i > 0 && clean[i - 1] == '-') clean[i - 1] = ' ';
  }
  return clean;
}

}  // namespace

Result<Metadata> ReadJson(std::string_view text, std::size_t most_values) {
  Flattener flattener(most_values);
  RETURN_IF_ERROR(ParseJson(WithoutInfinities(text), &flattener));
  return flattener.Take();
}

Result<std::vector<std::string>> ReadJsonTexts(std::string_view text, std::string_view key,
                                               std::size_t most) {
  TextCollector collector(key, most);
  RETURN_IF_ERROR(ParseJson(text, &collector));
  return collector.Take();
}

}  // namespace bramble::model::files
