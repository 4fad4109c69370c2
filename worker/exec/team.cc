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

}  // namespace

Team::Team(int size) : size_(size) {
  CHECK(size >= 1 && size <= 64);
  for (int i = 1; i < size; ++i) threads_.emplace_back([this, i] { Loop(i); });
}

Team::~Team() {
  stopping_ = true;
  start_.fetch_add(1, std::memory_order_release);
  start_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Team::Run(const std::function<void(int)>& body) {
  kernels::SetStandardFloatEnvironment();
  body_ = &body;
  taken_.store(0, std::memory_order_relaxed);
  if (size_ > 1) {
    start_.fetch_add(1, std::memory_order_release);
    start_.notify_all();
  }
  body(0);
  Barrier();
  body_ = nullptr;
}

void Team::Loop(int thread) {
  kernels::SetStandardFloatEnvironment();
  for (std::uint32_t seen = 0;; ++seen) {
    SleepWhile(start_, seen);
    if (stopping_) return;
    (*body_)(thread);
    Barrier();
  }
}

bool Team::Arrive() {
  return arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == static_cast<std::uint32_t>(size_);
}

void Team::Release(std::uint32_t phase) {
  arrived_.store(0, std::memory_order_relaxed);
  taken_.store(0, std::memory_order_relaxed);
  phase_.store(phase + 1, std::memory_order_release);
  if (size_ > 1) phase_.notify_all();
}

void Team::AwaitPhase(std::uint32_t phase) {
  const auto end = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < kPausesALook; ++i) {
      if (phase_.load(std::memory_order_acquire) != phase) return;
      Pause();
    }
  } while (std::chrono::steady_clock::now() < end);
  SleepWhile(phase_, phase);
}

void Team::SleepWhile(const std::atomic<std::uint32_t>& value, std::uint32_t old) {
  while (value.load(std::memory_order_acquire) == old) value.wait(old, std::memory_order_acquire);
}

Team::Range Team::Take(std::uint64_t total) {
  std::uint64_t first = taken_.load(std::memory_order_relaxed);
  while (first < total) {
    const std::uint64_t share = (total - first) / (2 * static_cast<std::uint64_t>(size_));
    const std::uint64_t last = first + std::max<std::uint64_t>(share, 1);
    if (taken_.compare_exchange_weak(first, last, std::memory_order_relaxed)) return {first, last};
  }
  return {};
}

}  // namespace bramble::worker
