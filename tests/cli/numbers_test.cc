#include "cli/numbers.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "cli/table.h"

namespace bramble::cli {
namespace {

TEST(Numbers, ReadsIdsAndNamesTheWordThatIsNone) {
  const auto ids = ParseIds("1,2,30", "--ids");
  ASSERT_TRUE(ids.ok()) << ids.status().message();
  EXPECT_EQ(*ids, (std::vector<std::uint32_t>{1, 2, 30}));
  for (const char* bad : {"1,,2", "1,x", "-1", "4294967296", "1 2"}) {
    const auto refused = ParseIds(bad, "--ids");
    ASSERT_FALSE(refused.ok()) << bad;
    EXPECT_NE(refused.status().message().find("--ids"), std::string::npos)
        << refused.status().message();
  }
}

TEST(Numbers, OrdersTheLargestLogitsWithTiesToTheLowerId) {
  const std::vector<IndexedLogit> top = Largest({2.0F, 3.0F, -1.0F, 3.0F}, 3);
  ASSERT_EQ(top.size(), 3U);
  EXPECT_EQ(top[0].id, 1U);
  EXPECT_EQ(top[1].id, 3U);
  EXPECT_EQ(top[2].id, 0U);
  EXPECT_EQ(Largest({1.0F}, 20).size(), 1U);
}

TEST(Numbers, ComputesThePopulationsDeviationAndTheMedian) {
  EXPECT_DOUBLE_EQ(StandardDeviation({1.0F, 3.0F}), 1.0);
  EXPECT_DOUBLE_EQ(StandardDeviation({}), 0.0);
  EXPECT_DOUBLE_EQ(Median({3, 1, 2}), 2.0);
  EXPECT_DOUBLE_EQ(Median({4, 1, 2, 3}), 2.5);
}

TEST(Table, AlignsItsColumns) {
  Table table({"NODE", "BYTES"});
  table.AddRow({"a-long-name", "1"});
  table.AddRow({"b", "22"});
  EXPECT_EQ(table.Text(), "NODE         BYTES\na-long-name  1\nb            22\n");
}

TEST(Table, WritesBytesAndSecondsForPeople) {
  EXPECT_EQ(HumanBytes(512), "512 B");
  EXPECT_EQ(HumanBytes(98362432), "93.8 MiB");
  EXPECT_EQ(HumanBytes(std::uint64_t{3} << 30), "3.0 GiB");
  EXPECT_EQ(HumanSeconds(0.0000421), "42 us");
  EXPECT_EQ(HumanSeconds(0.00213), "2.13 ms");
  EXPECT_EQ(HumanSeconds(1.2), "1.20 s");
}

}  // namespace
}  // namespace bramble::cli
