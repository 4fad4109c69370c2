#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

namespace bramble::worker {

// Threads that compute a step together: the caller and size - 1 others, which sleep between steps.
//
// Not OpenMP's team: libgomp's threads spin for milliseconds after each region unless a variable
// was set before the process started, its barrier cannot hand out work, and the thread sanitizer
// sees none of its synchronization.
class Team {
 public:
  // 1 to 64 threads, each with the standard float environment.
  explicit Team(int size);
  ~Team();
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  int size() const { return size_; }

  // Calls body(thread) once on every thread, thread 0 being the caller, and returns when all have
  // returned. One caller at a time. `body` may use Barrier and Take.
  void Run(const std::function<void(int)>& body);

  // Inside a body, by all threads: returns when all have come; what each did before is seen by
  // all after. The last to come calls `alone` while the others wait, who see what it did: work too
  // small to be shared needs no barrier of its own. Then the count of Take begins again at 0.
  // Waits some microseconds actively, then asleep.
  template <typename Alone>
  void Barrier(const Alone& alone) {
    const std::uint32_t phase = phase_.load(std::memory_order_relaxed);
    if (!Arrive()) return AwaitPhase(phase);
    alone();
    Release(phase);
  }
  void Barrier() {
    Barrier([] {});
  }

  // Inside a body: the next items of `total`, as a range [first, last); empty when none are left.
  // Between two barriers every thread passes the same total. Large pieces first, so that a thread
  // that comes late or is interrupted leaves its part to the others.
  struct Range {
    std::uint64_t first = 0;
    std::uint64_t last = 0;
    bool empty() const { return first == last; }
  };
  Range Take(std::uint64_t total);

 private:
  void Loop(int thread);
  // True for the last thread.
  bool Arrive();
  void Release(std::uint32_t phase);
  void AwaitPhase(std::uint32_t phase);
  static void SleepWhile(const std::atomic<std::uint32_t>& value, std::uint32_t old);

  const int size_;
  std::vector<std::thread> threads_;
  const std::function<void(int)>* body_ = nullptr;
  bool stopping_ = false;  // written before `start_` moves

  // Apart, so that those who wait for one do not slow down another.
  alignas(64) std::atomic<std::uint32_t> start_{0};
  alignas(64) std::atomic<std::uint32_t> arrived_{0};
  alignas(64) std::atomic<std::uint32_t> phase_{0};
  alignas(64) std::atomic<std::uint64_t> taken_{0};
};

}  // namespace bramble::worker
