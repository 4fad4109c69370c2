#include "worker/exec/team.h"

#include <gtest/gtest.h>

#include <atomic>
#include <numeric>
#include <vector>

#include "kernels/cpu.h"

namespace bramble::worker {
namespace {

TEST(Team, RunsTheBodyOnceOnEveryThread) {
  for (const int size : {1, 2, 5}) {
    Team team(size);
    for (int run = 0; run < 100; ++run) {
      std::vector<int> calls(static_cast<std::size_t>(size));
      team.Run([&](int thread) { ++calls[static_cast<std::size_t>(thread)]; });
      EXPECT_EQ(calls, std::vector<int>(static_cast<std::size_t>(size), 1));
    }
  }
}

TEST(Team, HandsOutEachItemOnceBetweenTwoBarriers) {
  for (const int size : {1, 2, 3}) {
    Team team(size);
    constexpr std::uint64_t kItems = 1000;
    std::vector<std::atomic<int>> taken(kItems);
    team.Run([&](int) {
      for (int round = 0; round < 50; ++round) {
        for (Team::Range range = team.Take(kItems); !range.empty(); range = team.Take(kItems)) {
          for (std::uint64_t i = range.first; i < range.last; ++i) ++taken[i];
        }
        team.Barrier();
      }
    });
    for (const auto& count : taken) EXPECT_EQ(count, 50);
  }
}

// Without the barrier's promise of visibility this would fail, and the thread sanitizer would say
// so.
TEST(Team, ShowsAfterABarrierWhatWasDoneBeforeItAndAtIt) {
  Team team(3);
  std::vector<int> parts(3);
  int sum = 0;
  std::vector<int> seen(3);
  team.Run([&](int thread) {
    for (int round = 1; round <= 2000; ++round) {
      parts[static_cast<std::size_t>(thread)] = round * (thread + 1);
      team.Barrier([&] { sum = std::accumulate(parts.begin(), parts.end(), 0); });
      if (sum == 6 * round) ++seen[static_cast<std::size_t>(thread)];
      team.Barrier();
    }
  });
  EXPECT_EQ(seen, std::vector<int>(3, 2000));
}

TEST(Team, GivesEveryThreadTheStandardFloatEnvironment) {
  Team team(3);
  std::vector<int> standard(3);
  team.Run([&](int thread) {
    standard[static_cast<std::size_t>(thread)] = kernels::FloatEnvironmentIsStandard() ? 1 : 0;
  });
  EXPECT_EQ(standard, std::vector<int>(3, 1));
}

}  // namespace
}  // namespace bramble::worker
