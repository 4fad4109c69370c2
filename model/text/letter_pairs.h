#pragma once

#include <cstdint>
#include <vector>

#include "model/text/checked_vocabulary.h"

namespace bramble::model::text {

// Which two characters stand next to each other in some piece of a vocabulary. Where two characters
// of a text never do, no merge can cross, so the text may be cut there: many short merges instead
// of one over the whole text, which for a megabyte is ten times as slow. Sometimes says yes for a
// pair that does not occur; that only cuts less. Immutable; any thread.
class LetterPairs {
 public:
  explicit LetterPairs(const Vocabulary& vocabulary);

  bool CanMeet(char32_t left, char32_t right) const { return seen_[Slot(left, right)]; }

 private:
  static std::size_t Slot(char32_t left, char32_t right) {
    const std::uint64_t pair = std::uint64_t{left} << 21U | right;
    return static_cast<std::size_t>(pair * 0x9e3779b97f4a7c15U >>
                                    (64U - kBits));  // 2^64 / golden ratio
  }

  static constexpr unsigned kBits = 22;
  std::vector<bool> seen_ = std::vector<bool>(std::size_t{1} << kBits);
};

}  // namespace bramble::model::text
