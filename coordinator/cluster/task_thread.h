#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <thread>

#include "common/mutex.h"

namespace bramble::coordinator {

// Does, one after the other, what gRPC's threads must not wait for: the database, signatures, a
// model file's pages. Thread-safe.
class TaskThread {
 public:
  TaskThread();
  // Runs what was posted, then ends.
  ~TaskThread();
  TaskThread(const TaskThread&) = delete;
  TaskThread& operator=(const TaskThread&) = delete;

  // False when kMaxTasks wait already; then the task will not run.
  bool Post(std::function<void()> task);

  static constexpr std::size_t kMaxTasks = 1024;

 private:
  void Loop();

  Mutex mu_;
  Condition changed_;
  std::deque<std::function<void()>> tasks_ GUARDED_BY(mu_);
  bool stopping_ GUARDED_BY(mu_) = false;
  std::thread thread_;  // the last: it uses the others
};

}  // namespace bramble::coordinator
