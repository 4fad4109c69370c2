#include "coordinator/api/stop_matcher.h"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace bramble::coordinator {

StopMatcher::StopMatcher(std::vector<std::string> stops, bool include_stop)
    : stops_(std::move(stops)), include_stop_(include_stop) {}

std::string StopMatcher::Add(std::string_view piece) {
  if (matched_) return {};
  held_ += piece;
  std::size_t begin = std::string::npos;
  const std::string* found = nullptr;
  for (const std::string& stop : stops_) {
    const std::size_t at = held_.find(stop);
    if (at == std::string::npos) continue;
    if (found == nullptr || at < begin || (at == begin && stop.size() > found->size())) {
      begin = at;
      found = &stop;
    }
  }
  if (found != nullptr) {
    matched_ = *found;
    held_.resize(include_stop_ ? begin + found->size() : begin);
    return std::exchange(held_, {});
  }
  std::size_t tail = 0;
  for (const std::string& stop : stops_) {
    for (std::size_t length = std::min(stop.size() - 1, held_.size()); length > tail; --length) {
      if (held_.compare(held_.size() - length, length, stop, 0, length) == 0) tail = length;
    }
  }
  std::string certain = held_.substr(0, held_.size() - tail);
  held_.erase(0, certain.size());
  return certain;
}

std::string StopMatcher::Finish() { return matched_ ? std::string() : std::exchange(held_, {}); }

}  // namespace bramble::coordinator
