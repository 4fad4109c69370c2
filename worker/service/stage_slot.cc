#include "worker/service/stage_slot.h"

#include <utility>

namespace bramble::worker {

Status StageSlot::Begin(std::uint64_t epoch) {
  std::shared_ptr<Stage> old;
  {
    const MutexLock lock(mu_);
    if (epoch <= newest_) {
      return Failed("epoch ", epoch, " is stale: epoch ", newest_, " was begun here");
    }
    newest_ = epoch;
    old = std::exchange(stage_, nullptr);
  }
  if (old != nullptr) {
    old->End({Code::kCancelled, "epoch " + std::to_string(epoch) + " replaces it"});
  }
  return {};
}

Status StageSlot::Install(const std::shared_ptr<Stage>& stage) {
  const std::uint64_t epoch = stage->options().epoch;
  {
    const MutexLock lock(mu_);
    if (newest_ == epoch) {
      stage_ = stage;
      return {};
    }
  }
  Status why = Failed("epoch ", epoch, " was given up while it was loaded");
  stage->End(why);
  return why;
}

Result<std::shared_ptr<Stage>> StageSlot::Find(std::uint64_t epoch) const {
  const MutexLock lock(mu_);
  if (stage_ == nullptr || stage_->options().epoch != epoch) {
    return Failed("epoch ", epoch, " is not loaded here; the newest is ", newest_);
  }
  if (stage_->ended()) return Failed("epoch ", epoch, " has ended here");
  return stage_;
}

void StageSlot::Drop(const Status& why) {
  std::shared_ptr<Stage> old;
  {
    const MutexLock lock(mu_);
    newest_ = 0;
    old = std::exchange(stage_, nullptr);
  }
  if (old != nullptr) old->End(why);
}

std::uint64_t StageSlot::epoch() const {
  const MutexLock lock(mu_);
  return stage_ == nullptr || stage_->ended() ? 0 : stage_->options().epoch;
}

}  // namespace bramble::worker
