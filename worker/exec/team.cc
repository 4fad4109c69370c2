#include "worker/exec/team.h"

#include <algorithm>
#include <chrono>

#include "common/check.h"
#include "kernels/cpu.h"

namespace bramble::worker {
namespace {

// Longer than most waits for a thread that runs, far shorter than a step; sleeping and waking would
// cost about as much.
constexpr std::chrono::microseconds kSpin(20);
constexpr int kPausesALook = 16;  // at the clock

inline void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb" ::: "memory");
#endif
}

constexpr std::uint32_t TagOf(std::uint64_t state) {
  return static_cast<std::uint32_t>(state >> 32U);
}

}  // namespace

Team::Team(int size) : size_(size) {
  CHECK(size >= 1 && size <= 64);
  for (int i = 1; i < size; ++i) threads_.emplace_back([this, i] { Loop(i); });
}

Team::~Team() {
  stopping_ = true;
  Open(TagOf(state_), 0);
  for (std::thread& thread : threads_) thread.join();
}

void Team::Run(Work& work) {
  kernels::SetStandardFloatEnvironment();
  if (size_ == 1) {
    for (std::uint64_t items = work.Next(); items > 0; items = work.Next()) work.Do(0, items, 0);
    return;
  }
  const std::uint64_t items = work.Next();
  if (items == 0) return;
  work_ = &work;
  Open(TagOf(state_), items);
  Join(0);
}

void Team::Loop(int thread) {
  kernels::SetStandardFloatEnvironment();
  while (!stopping_) {
    const std::uint32_t tag = TagOf(state_.load(std::memory_order_acquire));
    if (total_[tag & 1U].load(std::memory_order_relaxed) == 0) {
      SleepWhile(tag);
    } else {
      Join(thread);
    }
  }
}

void Team::Join(int thread) {
  while (true) {
    std::uint64_t state = state_.load(std::memory_order_acquire);
    const std::uint32_t tag = TagOf(state);
    const std::uint64_t total = total_[tag & 1U].load(std::memory_order_acquire);
    const std::uint64_t first = state & 0xffffffffU;
    if (total == 0) {
      // The end, unless it is a later stretch's total that has been read.
      if (TagOf(state_.load(std::memory_order_acquire)) == tag) return;
      continue;
    }
    if (first >= total) {
      AwaitNext(tag);
      continue;
    }
    const std::uint64_t share = (total - first) / (2 * static_cast<std::uint64_t>(size_));
    const std::uint64_t count = std::max<std::uint64_t>(share, 1);
    // It succeeds only while the stretch is `tag`, so `total` was its own.
    if (!state_.compare_exchange_weak(state, state + count, std::memory_order_acq_rel,
                                      std::memory_order_relaxed)) {
      continue;
    }
    work_->Do(first, first + count, thread);
    if (done_.fetch_add(count, std::memory_order_acq_rel) + count == total) {
      Open(tag, work_->Next());
    }
  }
}

void Team::Open(std::uint32_t tag, std::uint64_t items) {
  CHECK(items < (std::uint64_t{1} << 32U));
  done_.store(0, std::memory_order_relaxed);
  total_[(tag + 1) & 1U].store(items, std::memory_order_release);
  state_.store(std::uint64_t{tag + 1} << 32U, std::memory_order_release);
  opened_.fetch_add(1, std::memory_order_release);
  opened_.notify_all();
}

void Team::AwaitNext(std::uint32_t tag) {
  const auto end = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < kPausesALook; ++i) {
      if (TagOf(state_.load(std::memory_order_acquire)) != tag) return;
      Pause();
    }
  } while (std::chrono::steady_clock::now() < end);
  SleepWhile(tag);
}

void Team::SleepWhile(std::uint32_t tag) {
  while (opened_.load(std::memory_order_acquire) == tag) {
    opened_.wait(tag, std::memory_order_acquire);
  }
}

}  // namespace bramble::worker
