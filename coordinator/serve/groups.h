#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "coordinator/serve/clock.h"

namespace bramble::coordinator {

// How many groups the sequences that draw are spread over, found by measuring.
//
// Stages on machines of their own work side by side: as many groups as stages are best, for every
// stage then has work. Stages that share cores (several workers on one machine) take turns anyway,
// and fewer, larger groups make them read their weights less often. Nothing that the workers say
// tells the two apart, so for each number of sequences each candidate is tried for a while, the
// best is kept, and the others are tried again now and then. No bit of an answer depends on it. One
// thread.
class Groups {
 public:
  using TimePoint = Clock::TimePoint;

  explicit Groups(std::uint32_t stages);

  std::uint32_t count() const { return candidates_[current_]; }

  // `ids` ids were drawn just now, while `sequences` sequences draw.
  void Drew(std::uint32_t sequences, std::uint32_t ids, TimePoint now);
  // Steps carry other things too: what is measured now says nothing.
  void Disturb();

 private:
  // Of one candidate, with one number of sequences.
  struct Measured {
    double ids_per_second = 0;  // 0: never
    std::uint64_t window = 0;   // the last one that measured it
  };

  void Choose(TimePoint now);

  std::vector<std::uint32_t> candidates_;  // the first: as many as stages
  std::size_t current_ = 0;
  std::uint32_t sequences_ = 0;
  std::map<std::uint32_t, std::vector<Measured>> measured_;  // by number of sequences
  std::uint64_t windows_ = 0;
  std::uint32_t skip_ = 0;  // ids that still come from before the last change
  std::uint32_t ids_ = 0;   // of this window
  TimePoint start_;
};

}  // namespace bramble::coordinator
