#include "worker/link/compute_thread.h"

#include <future>
#include <utility>

#include "kernels/cpu.h"

namespace bramble::worker {

ComputeThread::ComputeThread() : thread_([this] { Loop(); }) {}

ComputeThread::~ComputeThread() {
  {
    const MutexLock lock(mu_);
    stopping_ = true;
  }
  changed_.NotifyOne();
  thread_.join();
}

void ComputeThread::Post(std::function<void()> job) {
  {
    const MutexLock lock(mu_);
    jobs_.push_back(std::move(job));
  }
  changed_.NotifyOne();
}

void ComputeThread::Run(const std::function<void()>& job) {
  std::promise<void> done;
  Post([&] {
    job();
    done.set_value();
  });
  done.get_future().wait();
}

void ComputeThread::Loop() {
  kernels::SetStandardFloatEnvironment();
  while (true) {
    std::function<void()> job;
    {
      const MutexLock lock(mu_);
      while (jobs_.empty() && !stopping_) changed_.Wait(mu_);
      if (jobs_.empty()) return;
      job = std::move(jobs_.front());
      jobs_.pop_front();
    }
    job();
  }
}

}  // namespace bramble::worker
