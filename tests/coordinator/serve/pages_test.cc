#include "coordinator/serve/pages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

namespace bramble::coordinator {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::uint32_t> Ids(std::size_t count) {
  std::vector<std::uint32_t> ids(count);
  std::iota(ids.begin(), ids.end(), 0U);
  return ids;
}

// Takes and publishes pages for all full pages of `ids`.
std::vector<std::uint32_t> Fill(PagePool& pool, const std::vector<std::uint32_t>& ids) {
  std::vector<std::uint32_t> pages;
  PageKey key{};
  for (std::size_t i = 0; i + pool.page_positions() <= ids.size(); i += pool.page_positions()) {
    pages.push_back(*pool.Take());
    key = NextPageKey(key, std::span(ids).subspan(i, pool.page_positions()));
    pool.Publish(pages.back(), key);
  }
  return pages;
}

TEST(Pages, AreGivenOutOnceEach) {
  PagePool pool(3, 4);
  EXPECT_EQ(pool.Take(), 0U);
  EXPECT_EQ(pool.Take(), 1U);
  EXPECT_EQ(pool.Take(), 2U);
  EXPECT_EQ(pool.Take(), std::nullopt);
  EXPECT_EQ(pool.in_use(), 3U);
  pool.Release(std::vector<std::uint32_t>{1});
  EXPECT_EQ(pool.Take(), 1U);
}

TEST(Pages, AreFoundByWhatTheyHoldAndByWhatComesBefore) {
  PagePool pool(8, 4);
  const std::vector<std::uint32_t> pages = Fill(pool, Ids(8));
  EXPECT_EQ(pool.TakeKnown(Ids(11), 9), pages);
  EXPECT_EQ(pool.TakeKnown(Ids(11), 1), std::vector<std::uint32_t>{pages[0]});
  EXPECT_THAT(pool.TakeKnown(Ids(3), 9), IsEmpty());
  // The second page's ids, but not behind the first page's.
  EXPECT_THAT(pool.TakeKnown(std::vector<std::uint32_t>{4, 5, 6, 7}, 9), IsEmpty());
}

TEST(Pages, OutliveTheirSequenceUntilRoomIsNeeded) {
  PagePool pool(3, 4);
  const std::vector<std::uint32_t> pages = Fill(pool, Ids(8));
  pool.Release(pages);
  EXPECT_EQ(pool.in_use(), 0U);
  EXPECT_EQ(pool.kept(), 2U);
  EXPECT_EQ(pool.available(), 3U);
  EXPECT_EQ(pool.Take(), 2U) << "the page that nobody has used";
  EXPECT_EQ(pool.Take(), pages[1]) << "of the kept ones the last of its prompt";
  EXPECT_EQ(pool.TakeKnown(Ids(8), 9), std::vector<std::uint32_t>{pages[0]});
  EXPECT_EQ(pool.available(), 0U);
}

TEST(Pages, SharedByTwoAreFreeWhenBothHaveGivenThemBack) {
  PagePool pool(2, 4);
  const std::vector<std::uint32_t> first = Fill(pool, Ids(8));
  const std::vector<std::uint32_t> second = pool.TakeKnown(Ids(8), 9);
  EXPECT_EQ(first, second);
  pool.Release(first);
  EXPECT_EQ(pool.Take(), std::nullopt);
  pool.Release(second);
  EXPECT_TRUE(pool.Take().has_value());
}

TEST(Pages, OfEqualContentAreKnownOnce) {
  PagePool pool(4, 4);
  const std::vector<std::uint32_t> first = Fill(pool, Ids(4));
  const std::vector<std::uint32_t> second = Fill(pool, Ids(4));
  pool.Release(second);
  EXPECT_EQ(pool.kept(), 0U) << "the second one is free at once";
  EXPECT_THAT(pool.TakeKnown(Ids(4), 1), ElementsAre(first[0]));
}

TEST(Pages, UnusedForLongestAreGivenAwayFirst) {
  PagePool pool(2, 4);
  const std::vector<std::uint32_t> a{1, 1, 1, 1};
  const std::vector<std::uint32_t> b{2, 2, 2, 2};
  const std::vector<std::uint32_t> page_a = Fill(pool, a);
  const std::vector<std::uint32_t> page_b = Fill(pool, b);
  pool.Release(page_a);
  pool.Release(page_b);
  pool.Release(pool.TakeKnown(a, 1));  // used again: now b is the older one
  EXPECT_EQ(pool.Take(), page_b[0]);
  EXPECT_EQ(pool.TakeKnown(a, 1), page_a);
}

}  // namespace
}  // namespace bramble::coordinator
