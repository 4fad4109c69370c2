#pragma once

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace bramble::worker {

// Threads that compute a step together: the caller and size - 1 others, which sleep between steps.
//
// Not OpenMP's team: libgomp's threads spin for milliseconds after each region unless a variable
// was set before the process started, its barriers wait for threads where only work must be waited
// for, and the thread sanitizer sees none of its synchronization.
// NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding): each atomic has a line of its own
class Team {
 public:
  // What a team does: stretches of items, one stretch after the other.
  class Work {
   public:
    virtual ~Work() = default;
    Work() = default;
    Work(const Work&) = delete;
    Work& operator=(const Work&) = delete;

    // How many items the next stretch has; 0: there is none. Called when all items before have been
    // done, by one thread while no other does any: it sees what they did, and they will see what it
    // does. So work too small to be shared is done here. Below 2^32.
    virtual std::uint64_t Next() = 0;
    // Does items [first, last) of the stretch. `thread`: 0 .. size - 1.
    virtual void Do(std::uint64_t first, std::uint64_t last, int thread) = 0;
  };

  // 1 to 64 threads, each with the standard float environment.
  explicit Team(int size);
  ~Team();
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  int size() const { return size_; }

  // Does all of the work; each item once. One caller at a time; it is thread 0.
  //
  // Items are handed out in pieces, large ones first. A stretch ends when its items are done, not
  // when every thread has come by: a thread that the system keeps from running holds up nobody,
  // unless it holds a piece. Who finds nothing to do looks for some microseconds, then sleeps.
  void Run(Work& work);

 private:
  void Loop(int thread);
  // Takes and does pieces until the work is at its end.
  void Join(int thread);
  // Begins the stretch after `tag`.
  void Open(std::uint32_t tag, std::uint64_t items);
  // Returns when the stretch is no longer `tag`.
  void AwaitNext(std::uint32_t tag);
  void SleepWhile(std::uint32_t tag);

  const int size_;
  std::vector<std::thread> threads_;
  Work* work_ = nullptr;  // read only by who holds a piece
  std::atomic<bool> stopping_{false};

  // The stretch's tag in the upper half, which rises with each stretch; its first item that has not
  // been taken in the lower. A piece is taken by moving it on, which fails if the stretch is over.
  alignas(64) std::atomic<std::uint64_t> state_{0};
  // Items of the stretch, by the lowest bit of its tag: the next one's are written while somebody
  // may still read this one's. 0: the work is at its end.
  std::atomic<std::uint64_t> total_[2]{};
  alignas(64) std::atomic<std::uint64_t> done_{0};
  // Counts the stretches as the tag does, for who sleeps. Not the tag itself: two threads that open
  // stretches one after the other may come here in the other order.
  alignas(64) std::atomic<std::uint32_t> opened_{0};
};

}  // namespace bramble::worker
