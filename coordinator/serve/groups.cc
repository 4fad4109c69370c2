#include "coordinator/serve/groups.h"

#include <algorithm>

namespace bramble::coordinator {
namespace {

// A window is this many ids of each sequence: long enough to see past a scheduler's whims.
constexpr std::uint32_t kRounds = 12;
// Every so many windows the candidate that was tried longest ago is tried again.
constexpr std::uint64_t kLookAgain = 40;
// Fewer groups than stages must be this much better: the noise of measuring is not.
constexpr double kClearly = 1.1;
constexpr double kNewest = 0.5;  // weight of the newest window

}  // namespace

Groups::Groups(std::uint32_t stages) {
  candidates_.push_back(std::max(stages, 1U));
  if (stages <= 4) {
    for (std::uint32_t groups = stages; groups > 1; --groups) candidates_.push_back(groups - 1);
  } else {
    candidates_.push_back((stages + 1) / 2);
    candidates_.push_back(1);
  }
}

void Groups::Disturb() {
  skip_ = sequences_;
  ids_ = 0;
}

void Groups::Drew(std::uint32_t sequences, std::uint32_t ids, TimePoint now) {
  if (sequences != sequences_) {
    sequences_ = sequences;
    Choose(now);
    return Disturb();
  }
  if (skip_ > 0) {
    skip_ -= std::min(skip_, ids);
    start_ = now;
    return;
  }
  ids_ += ids;
  if (sequences < 2 || ids_ < kRounds * sequences) return;
  const double seconds = std::chrono::duration<double>(now - start_).count();
  if (seconds <= 0) return;
  std::vector<Measured>& all = measured_[sequences];
  all.resize(candidates_.size());
  Measured& measured = all[current_];
  const double rate = ids_ / seconds;
  measured.ids_per_second = measured.ids_per_second == 0
                                ? rate
                                : (1 - kNewest) * measured.ids_per_second + kNewest * rate;
  measured.window = ++windows_;
  Choose(now);
}

// The candidate for the next window.
void Groups::Choose(TimePoint now) {
  const std::size_t before = current_;
  std::vector<Measured>& all = measured_[sequences_];
  all.resize(candidates_.size());
  const auto untried = std::find_if(all.begin(), all.end(), [](const Measured& measured) {
    return measured.ids_per_second == 0;
  });
  if (sequences_ < 2) {
    current_ = 0;
  } else if (untried != all.end()) {
    current_ = static_cast<std::size_t>(untried - all.begin());
  } else if (windows_ % kLookAgain == 0) {
    current_ = static_cast<std::size_t>(
        std::min_element(all.begin(), all.end(),
                         [](const Measured& a, const Measured& b) { return a.window < b.window; }) -
        all.begin());
  } else {
    const auto best = std::max_element(
        all.begin(), all.end(),
        [](const Measured& a, const Measured& b) { return a.ids_per_second < b.ids_per_second; });
    const bool clearly = best->ids_per_second > kClearly * all[0].ids_per_second;
    current_ = clearly ? static_cast<std::size_t>(best - all.begin()) : 0;
  }
  ids_ = 0;
  start_ = now;
  // What is in flight was sent before the change.
  if (current_ != before) skip_ = sequences_;
}

}  // namespace bramble::coordinator
