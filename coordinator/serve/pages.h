#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <list>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "common/sha256.h"

namespace bramble::coordinator {

// Names what a full page holds: the hash of its ids and of everything before them. Two pages of the
// same key hold the same bits on every worker. SHA-256, so that nobody can make a prompt that hits
// another's page.
using PageKey = Sha256;
PageKey NextPageKey(const PageKey& before, std::span<const std::uint32_t> ids);

// The logical pages of a plan: every worker has the same number of pages in each cache, and page p
// of a sequence is page p everywhere. A page is free, or used by one sequence or several that begin
// alike, or kept: not used now, but still holding what its key says. Kept pages are given away when
// no page is free, the one unused for longest first. One thread.
class PagePool {
 public:
  PagePool(std::uint32_t pages, std::uint32_t page_positions);

  std::uint32_t page_positions() const { return page_positions_; }
  std::uint32_t pages() const { return static_cast<std::uint32_t>(entries_.size()); }
  std::uint32_t in_use() const;
  std::uint32_t kept() const { return static_cast<std::uint32_t>(unused_.size()); }
  // How many Take calls would succeed now.
  std::uint32_t available() const {
    return static_cast<std::uint32_t>(free_.size() + unused_.size());
  }

  // A page of nobody's, or nothing when all are in use.
  std::optional<std::uint32_t> Take();

  // The pages that hold the beginning of `ids`, in order, at most `most` of them; each is now used
  // once more.
  std::vector<std::uint32_t> TakeKnown(std::span<const std::uint32_t> ids, std::size_t most);

  // The page, which is in use, now holds what `key` says. Nothing happens if another page already
  // does.
  void Publish(std::uint32_t page, const PageKey& key);

  // Gives back one use of each page. Of pages that become unused the last is given away first: a
  // prompt's beginning is worth more than its end.
  void Release(std::span<const std::uint32_t> pages);

 private:
  struct KeyHash {
    std::size_t operator()(const PageKey& key) const;
  };
  struct Entry {
    std::uint32_t uses = 0;
    std::optional<PageKey> key;
    std::list<std::uint32_t>::iterator place;  // in unused_, while kept
  };

  std::uint32_t page_positions_;
  std::vector<Entry> entries_;
  std::vector<std::uint32_t> free_;
  std::list<std::uint32_t> unused_;  // kept pages; the next to be given away first
  std::unordered_map<PageKey, std::uint32_t, KeyHash> known_;
};

}  // namespace bramble::coordinator
