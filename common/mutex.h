#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

// clang checks these (-Wthread-safety); GCC ignores them.
#if defined(__clang__)
#define BRAMBLE_THREAD_ATTRIBUTE(x) __attribute__((x))
#else
#define BRAMBLE_THREAD_ATTRIBUTE(x)
#endif
// Abseil, which gRPC's headers bring along, defines the same names.
#undef GUARDED_BY
#undef PT_GUARDED_BY
#define GUARDED_BY(mutex) BRAMBLE_THREAD_ATTRIBUTE(guarded_by(mutex))
#define PT_GUARDED_BY(mutex) BRAMBLE_THREAD_ATTRIBUTE(pt_guarded_by(mutex))
#define REQUIRES(...) BRAMBLE_THREAD_ATTRIBUTE(requires_capability(__VA_ARGS__))
#define EXCLUDES(...) BRAMBLE_THREAD_ATTRIBUTE(locks_excluded(__VA_ARGS__))

namespace bramble {

// A std::mutex whose use clang can check: data under it carries GUARDED_BY(mu_).
class BRAMBLE_THREAD_ATTRIBUTE(capability("mutex")) Mutex {
 public:
  void lock() BRAMBLE_THREAD_ATTRIBUTE(acquire_capability()) { mutex_.lock(); }
  void unlock() BRAMBLE_THREAD_ATTRIBUTE(release_capability()) { mutex_.unlock(); }

 private:
  friend class Condition;
  std::mutex mutex_;
};

// Holds a Mutex for the length of a scope.
class BRAMBLE_THREAD_ATTRIBUTE(scoped_lockable) MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) BRAMBLE_THREAD_ATTRIBUTE(acquire_capability(mutex))
      : mutex_(mutex) {
    mutex_.lock();
  }
  ~MutexLock() BRAMBLE_THREAD_ATTRIBUTE(release_capability()) { mutex_.unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

// A condition variable for a Mutex. Waits may wake for no reason: call them in a loop over the
// predicate.
class Condition {
 public:
  void Wait(Mutex& mutex) REQUIRES(mutex) {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    condition_.wait(lock);
    lock.release();
  }
  // False if the time came first.
  template <typename Clock, typename Duration>
  bool WaitUntil(Mutex& mutex, const std::chrono::time_point<Clock, Duration>& time)
      REQUIRES(mutex) {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    const bool in_time = condition_.wait_until(lock, time) == std::cv_status::no_timeout;
    lock.release();
    return in_time;
  }
  void NotifyOne() { condition_.notify_one(); }
  void NotifyAll() { condition_.notify_all(); }

 private:
  std::condition_variable condition_;
};

}  // namespace bramble
