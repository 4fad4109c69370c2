#include "worker/exec/team.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "kernels/cpu.h"

namespace bramble::worker {
namespace {

// Stretches of different lengths. In each, item i of stretch s adds s + i to a cell; the next
// stretch looks whether all cells are what the one before must have left.
class Counting final : public Team::Work {
 public:
  explicit Counting(int stretches) : stretches_(stretches) {}

  std::uint64_t Next() override {
    if (alone_.exchange(true)) ++faults_;
    for (std::size_t i = 0; i < cells_.size(); ++i) {
      if (cells_[i] != expected_[i]) ++faults_;
    }
    std::uint64_t items = 0;
    if (stretch_ < stretches_) items = static_cast<std::uint64_t>(1 + stretch_ % 17);
    for (std::size_t i = 0; i < items; ++i) expected_[i] += stretch_ + static_cast<int>(i);
    done_ = stretch_++;
    alone_ = false;
    return items;
  }

  void Do(std::uint64_t first, std::uint64_t last, int thread) override {
    if (alone_) ++faults_;
    if (thread < 0 || thread >= 8 || !kernels::FloatEnvironmentIsStandard()) ++faults_;
    for (std::uint64_t i = first; i < last; ++i) cells_[i] += done_ + static_cast<int>(i);
  }

  int faults() const { return faults_; }
  int stretch() const { return stretch_; }

 private:
  const int stretches_;
  int stretch_ = 0;
  int done_ = 0;  // the stretch under way
  std::vector<int> cells_ = std::vector<int>(17);
  std::vector<int> expected_ = std::vector<int>(17);
  std::atomic<bool> alone_{false};
  std::atomic<int> faults_{0};
};

// Plain integers: were an item done twice, or seen too early, the sums would differ, and the thread
// sanitizer would say so.
TEST(Team, DoesEachItemOnceAndShowsItToTheNextStretch) {
  for (const int size : {1, 2, 3, 8}) {
    Team team(size);
    for (int run = 0; run < 20; ++run) {
      Counting work(100);
      team.Run(work);
      EXPECT_EQ(work.faults(), 0) << size;
      EXPECT_EQ(work.stretch(), 101) << size;
    }
  }
}

TEST(Team, DoesNothingWhereThereIsNoWork) {
  Team team(3);
  for (int run = 0; run < 100; ++run) {
    Counting work(0);
    team.Run(work);
    EXPECT_EQ(work.stretch(), 1);
  }
}

// Two items that wait for each other are done only if two threads do them.
class Meeting final : public Team::Work {
 public:
  std::uint64_t Next() override { return left_-- > 0 ? 2 : 0; }
  void Do(std::uint64_t first, std::uint64_t last, int) override {
    const int target = round_.load() / 2 * 2 + 2;
    EXPECT_EQ(last - first, 1U);
    ++round_;
    while (round_.load() < target) std::this_thread::yield();
  }

 private:
  int left_ = 50;
  std::atomic<int> round_{0};
};

TEST(Team, WorksWithAllItsThreads) {
  Team team(2);
  Meeting work;
  team.Run(work);
}

TEST(Team, EndsWithoutEverHavingWorked) {
  for (int i = 0; i < 50; ++i) {
    const Team team(4);
    EXPECT_EQ(team.size(), 4);
  }
}

}  // namespace
}  // namespace bramble::worker
