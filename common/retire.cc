#include "common/retire.h"

#include <deque>
#include <thread>
#include <utility>

#include "common/mutex.h"

namespace bramble {
namespace {

class Retirement {
 public:
  Retirement() {
    std::thread([this] { Loop(); }).detach();
  }

  void Add(std::shared_ptr<void> object) {
    {
      const MutexLock lock(mu_);
      objects_.push_back(std::move(object));
    }
    changed_.NotifyOne();
  }

 private:
  [[noreturn]] void Loop() {
    while (true) {
      std::shared_ptr<void> object;
      {
        const MutexLock lock(mu_);
        while (objects_.empty()) changed_.Wait(mu_);
        object = std::move(objects_.front());
        objects_.pop_front();
      }
    }
  }

  Mutex mu_;
  Condition changed_;
  std::deque<std::shared_ptr<void>> objects_ GUARDED_BY(mu_);
};

}  // namespace

void Retire(std::shared_ptr<void> object) {
  // Never destroyed: calls may end as long as the process lives.
  static auto& retirement = *new Retirement();
  retirement.Add(std::move(object));
}

}  // namespace bramble
