#include "model/text/merges.h"

#include <cstddef>
#include <functional>
#include <string>

#include "model/files/quote.h"

namespace bramble::model::text {
namespace {

constexpr std::uint32_t kNone = 0xffffffff;
// Up to here looking at every pair again is faster than a queue.
constexpr std::size_t kFew = 24;

}  // namespace

Result<MergeTable> MergeTable::Create(const Vocabulary& vocabulary) {
  const std::vector<std::string>& merges = vocabulary.spec().merges;
  if (merges.size() > 4 * kMaxTokens) {
    return Invalid("the vocabulary has ", merges.size(), " merges, at most ", 4 * kMaxTokens,
                   " are allowed");
  }
  MergeTable table;
  table.pairs_.reserve(merges.size());
  std::string joined;
  for (std::size_t rank = 0; rank < merges.size(); ++rank) {
    const std::string_view merge = merges[rank];
    // A token may be a space, so the first character never separates.
    const std::size_t space = merge.find(' ', 1);
    if (merge.empty() || space == std::string_view::npos || space + 1 == merge.size()) {
      return Invalid("merge ", rank, " ", files::Quote(merge),
                     " is not two tokens with a space between them");
    }
    const auto left = vocabulary.Find(merge.substr(0, space));
    const auto right = vocabulary.Find(merge.substr(space + 1));
    if (!left.has_value() || !right.has_value()) {
      return Invalid(
          "merge ", rank, " ", files::Quote(merge), " names the token ",
          files::Quote(left.has_value() ? merge.substr(space + 1) : merge.substr(0, space)),
          ", which is not in the vocabulary");
    }
    joined.assign(merge.substr(0, space)).append(merge.substr(space + 1));
    const auto id = vocabulary.Find(joined);
    if (!id.has_value()) {
      return Invalid("merge ", rank, " ", files::Quote(merge), " makes ", files::Quote(joined),
                     ", which is not in the vocabulary");
    }
    // A pair given twice keeps its better rank.
    table.pairs_.try_emplace(std::uint64_t{*left} << 32U | *right,
                             Merge{static_cast<std::uint32_t>(rank), *id});
  }
  return table;
}

void Merger::MergeFew(std::vector<std::uint32_t>& symbols, std::vector<std::uint32_t>& ids) {
  few_.clear();
  for (std::size_t i = 0; i + 1 < symbols.size(); ++i)
    few_.push_back(table_.Find(symbols[i], symbols[i + 1]));
  for (;;) {
    std::size_t best = few_.size();
    for (std::size_t i = 0; i < few_.size(); ++i) {
      if (few_[i] != nullptr && (best == few_.size() || few_[i]->rank < few_[best]->rank)) best = i;
    }
    if (best == few_.size()) break;
    const auto at = static_cast<std::ptrdiff_t>(best);
    symbols[best] = few_[best]->id;
    symbols.erase(symbols.begin() + at + 1);
    few_.erase(few_.begin() + at);
    if (best > 0) few_[best - 1] = table_.Find(symbols[best - 1], symbols[best]);
    if (best < few_.size()) few_[best] = table_.Find(symbols[best], symbols[best + 1]);
  }
  ids.insert(ids.end(), symbols.begin(), symbols.end());
}

void Merger::Offer(const std::vector<std::uint32_t>& symbols, std::uint32_t left,
                   std::uint32_t right) {
  if (left == kNone || right == kNone) return;
  const MergeTable::Merge* merge = table_.Find(symbols[left], symbols[right]);
  if (merge != nullptr) queue_.push({merge->rank, left, symbols[left], symbols[right], merge->id});
}

void Merger::Merge(std::vector<std::uint32_t>& symbols, std::vector<std::uint32_t>& ids) {
  if (symbols.size() <= kFew) return MergeFew(symbols, ids);
  const auto count = static_cast<std::uint32_t>(symbols.size());
  previous_.resize(count);
  next_.resize(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    previous_[i] = i == 0 ? kNone : i - 1;
    next_[i] = i + 1 == count ? kNone : i + 1;
    Offer(symbols, i, next_[i]);
  }
  while (!queue_.empty()) {
    const Candidate best = queue_.top();
    queue_.pop();
    // The neighbours may have changed since: a merged-away symbol is kNone, a grown one has another
    // id.
    const std::uint32_t right = next_[best.at];
    if (symbols[best.at] != best.left || right == kNone || symbols[right] != best.right) continue;
    symbols[best.at] = best.joined;
    symbols[right] = kNone;
    next_[best.at] = next_[right];
    if (next_[right] != kNone) previous_[next_[right]] = best.at;
    Offer(symbols, previous_[best.at], best.at);
    Offer(symbols, best.at, next_[best.at]);
  }
  for (std::uint32_t at = 0; at != kNone; at = next_[at]) ids.push_back(symbols[at]);
}

}  // namespace bramble::model::text
