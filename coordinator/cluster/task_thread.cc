#include "coordinator/cluster/task_thread.h"

#include <utility>

namespace bramble::coordinator {

TaskThread::TaskThread() : thread_([this] { Loop(); }) {}

TaskThread::~TaskThread() {
  {
    const MutexLock lock(mu_);
    stopping_ = true;
  }
  changed_.NotifyOne();
  thread_.join();
}

bool TaskThread::Post(std::function<void()> task) {
  {
    const MutexLock lock(mu_);
    if (tasks_.size() >= kMaxTasks) return false;
    tasks_.push_back(std::move(task));
  }
  changed_.NotifyOne();
  return true;
}

void TaskThread::Loop() {
  while (true) {
    std::function<void()> task;
    {
      const MutexLock lock(mu_);
      while (tasks_.empty() && !stopping_) changed_.Wait(mu_);
      if (tasks_.empty()) return;
      task = std::move(tasks_.front());
      tasks_.pop_front();
    }
    task();
  }
}

}  // namespace bramble::coordinator
