#include "coordinator/serve/pages.h"

#include <algorithm>
#include <cstring>

#include "common/check.h"

namespace bramble::coordinator {

PageKey NextPageKey(const PageKey& before, std::span<const std::uint32_t> ids) {
  Sha256Stream hash;
  hash.Add(std::as_bytes(std::span(before)));
  hash.Add(std::as_bytes(ids));
  return hash.Finish();
}

std::size_t PagePool::KeyHash::operator()(const PageKey& key) const {
  std::size_t hash = 0;
  std::memcpy(&hash, key.data(), sizeof(hash));
  return hash;
}

PagePool::PagePool(std::uint32_t pages, std::uint32_t page_positions)
    : page_positions_(page_positions), entries_(pages) {
  CHECK(page_positions > 0);
  for (std::uint32_t page = pages; page > 0; --page) free_.push_back(page - 1);
}

std::uint32_t PagePool::in_use() const { return pages() - available(); }

std::optional<std::uint32_t> PagePool::Take() {
  std::uint32_t page = 0;
  if (!free_.empty()) {
    page = free_.back();
    free_.pop_back();
  } else if (!unused_.empty()) {
    page = unused_.front();
    unused_.pop_front();
    known_.erase(*entries_[page].key);
    entries_[page].key.reset();
  } else {
    return std::nullopt;
  }
  entries_[page].uses = 1;
  return page;
}

std::vector<std::uint32_t> PagePool::TakeKnown(std::span<const std::uint32_t> ids,
                                               std::size_t most) {
  std::vector<std::uint32_t> found;
  PageKey key{};
  while (found.size() < most && ids.size() >= page_positions_) {
    key = NextPageKey(key, ids.first(page_positions_));
    const auto known = known_.find(key);
    if (known == known_.end()) break;
    Entry& entry = entries_[known->second];
    if (entry.uses == 0) unused_.erase(entry.place);
    ++entry.uses;
    found.push_back(known->second);
    ids = ids.subspan(page_positions_);
  }
  return found;
}

void PagePool::Publish(std::uint32_t page, const PageKey& key) {
  Entry& entry = entries_[page];
  CHECK(entry.uses > 0);
  if (!known_.emplace(key, page).second) return;
  CHECK(!entry.key);
  entry.key = key;
}

void PagePool::Release(std::span<const std::uint32_t> pages) {
  for (std::size_t i = pages.size(); i > 0; --i) {
    const std::uint32_t page = pages[i - 1];
    Entry& entry = entries_[page];
    CHECK(entry.uses > 0);
    if (--entry.uses > 0) continue;
    if (entry.key) {
      entry.place = unused_.insert(unused_.end(), page);
    } else {
      free_.push_back(page);
    }
  }
}

}  // namespace bramble::coordinator
