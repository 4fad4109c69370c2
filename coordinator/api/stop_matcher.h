#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bramble::coordinator {

// Looks for stop strings in the text of one answer as it grows, across tokens. The earliest match
// wins, at one place the longest stop. Text that may still become a stop string is held back:
// exactly the longest tail that is a proper prefix of one. One thread at a time.
class StopMatcher {
 public:
  // `stops`: none is empty. `include_stop`: the matched string is part of the text.
  explicit StopMatcher(std::vector<std::string> stops, bool include_stop = false);

  // What `piece` makes certain. Nothing after a match.
  std::string Add(std::string_view piece);
  // What was held back, when the answer ends otherwise. Nothing after a match.
  std::string Finish();

  // The stop string that was found.
  const std::optional<std::string>& matched() const { return matched_; }

 private:
  std::vector<std::string> stops_;
  bool include_stop_;
  std::string held_;  // not yet sent; no stop string ends in it
  std::optional<std::string> matched_;
};

}  // namespace bramble::coordinator
