#pragma once

#include <cstdint>
#include <optional>
#include <queue>
#include <unordered_map>
#include <vector>

#include "common/status.h"
#include "model/text/checked_vocabulary.h"

namespace bramble::model::text {

// The merges of a byte-pair vocabulary: which two neighbours become one token, and which pair goes
// first. Immutable after Create; any thread.
class MergeTable {
 public:
  struct Merge {
    std::uint32_t rank = 0;  // lower goes first
    std::uint32_t id = 0;    // the joined token
  };

  // InvalidArgument names a merge that is not two tokens, or whose joined text is not a token.
  static Result<MergeTable> Create(const Vocabulary& vocabulary);

  // nullptr: these two stay apart.
  const Merge* Find(std::uint32_t left, std::uint32_t right) const {
    const auto found = pairs_.find(std::uint64_t{left} << 32U | right);
    return found == pairs_.end() ? nullptr : &found->second;
  }

 private:
  struct Hash {
    std::size_t operator()(std::uint64_t pair) const {
      pair *= 0x9e3779b97f4a7c15U;  // 2^64 / golden ratio: spreads both halves into the low bits
                                    // after the shift
      return static_cast<std::size_t>(pair ^ pair >> 32U);
    }
  };
  std::unordered_map<std::uint64_t, Merge, Hash> pairs_;
};

// Merges the symbols of one part until no pair of neighbours can be: lowest rank first, leftmost
// first among equals. n symbols cost O(n log n). Reused for many parts, so that a part allocates
// nothing; one thread at a time.
class Merger {
 public:
  explicit Merger(const MergeTable& table) : table_(table) {}

  // Appends what `symbols` become to `ids`. Overwrites `symbols`.
  void Merge(std::vector<std::uint32_t>& symbols, std::vector<std::uint32_t>& ids);

 private:
  struct Candidate {
    std::uint32_t rank;
    std::uint32_t at;  // index of the left symbol
    std::uint32_t left, right, joined;
    bool operator>(const Candidate& other) const {
      return rank != other.rank ? rank > other.rank : at > other.at;
    }
  };

  void MergeFew(std::vector<std::uint32_t>& symbols, std::vector<std::uint32_t>& ids);
  void Offer(const std::vector<std::uint32_t>& symbols, std::uint32_t left, std::uint32_t right);

  const MergeTable& table_;
  std::vector<const MergeTable::Merge*> few_;
  std::vector<std::uint32_t> previous_, next_;
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue_;
};

}  // namespace bramble::model::text
