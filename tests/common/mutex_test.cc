#include "common/mutex.h"

#include <gtest/gtest.h>

#include <thread>

namespace bramble {
namespace {

struct Shared {
  Mutex mu;
  Condition changed;
  int value GUARDED_BY(mu) = 0;
};

TEST(Condition, WakesWhoWaitsForAChange) {
  Shared shared;
  std::jthread writer([&] {
    for (int i = 0; i < 100; ++i) {
      const MutexLock lock(shared.mu);
      ++shared.value;
      shared.changed.NotifyAll();
    }
  });
  const MutexLock lock(shared.mu);
  while (shared.value < 100) shared.changed.Wait(shared.mu);
  EXPECT_EQ(shared.value, 100);
}

TEST(Condition, GivesUpAtItsTime) {
  Shared shared;
  const MutexLock lock(shared.mu);
  const auto time = std::chrono::steady_clock::now() + std::chrono::milliseconds(5);
  while (shared.changed.WaitUntil(shared.mu, time)) {
  }
  EXPECT_GE(std::chrono::steady_clock::now(), time);
}

}  // namespace
}  // namespace bramble
