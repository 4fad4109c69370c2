#pragma once

#include <chrono>

#include "common/mutex.h"

namespace bramble::coordinator {

// Where the scheduler takes its time from. Thread-safe.
class Clock {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  Clock() = default;
  Clock(const Clock&) = delete;
  Clock& operator=(const Clock&) = delete;
  virtual ~Clock() = default;

  virtual TimePoint Now() const = 0;
  // Waits for `condition` until `time`; may wake for no reason.
  virtual void WaitUntil(Mutex& mutex, Condition& condition, TimePoint time) REQUIRES(mutex) = 0;
};

class SteadyClock : public Clock {
 public:
  TimePoint Now() const override { return std::chrono::steady_clock::now(); }
  void WaitUntil(Mutex& mutex, Condition& condition, TimePoint time) override REQUIRES(mutex) {
    condition.WaitUntil(mutex, time);
  }
};

}  // namespace bramble::coordinator
