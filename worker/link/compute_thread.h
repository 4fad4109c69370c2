#pragma once

#include <deque>
#include <functional>
#include <thread>

#include "common/mutex.h"

namespace bramble::worker {

// The one thread that computes: it makes, runs and frees executors, and is the first of their team
// of threads. Jobs run one after the other, in the order in which they were posted. What is posted
// is bounded by those who post: a stage has at most one job waiting, a load one. Thread-safe.
class ComputeThread {
 public:
  ComputeThread();
  // Runs what was posted, then ends.
  ~ComputeThread();
  ComputeThread(const ComputeThread&) = delete;
  ComputeThread& operator=(const ComputeThread&) = delete;

  void Post(std::function<void()> job);
  // Posts and waits until it has run. Not from a job.
  void Run(const std::function<void()>& job);

 private:
  void Loop();

  Mutex mu_;
  Condition changed_;
  std::deque<std::function<void()>> jobs_ GUARDED_BY(mu_);
  bool stopping_ GUARDED_BY(mu_) = false;
  std::thread thread_;  // the last: it uses the others
};

}  // namespace bramble::worker
