#pragma once

#include <cstdint>
#include <memory>

#include "common/mutex.h"
#include "common/status.h"
#include "worker/link/stage.h"

namespace bramble::worker {

// The one stage that this worker has, or has not. Epochs only rise: what comes from an older plan
// is refused. Thread-safe.
class StageSlot {
 public:
  // Makes way for this epoch: ends the stage that is there. FailedPrecondition: the epoch is not
  // newer.
  Status Begin(std::uint64_t epoch);
  // FailedPrecondition when another epoch has begun, or everything was dropped, since this one's
  // Begin.
  Status Install(const std::shared_ptr<Stage>& stage);
  // FailedPrecondition unless the stage of this epoch is there and has not ended.
  Result<std::shared_ptr<Stage>> Find(std::uint64_t epoch) const;
  // Ends the stage; the next epoch may be any, for the coordinator that counts them is another one.
  void Drop(const Status& why);
  // Of the stage that is there and has not ended, else 0.
  std::uint64_t epoch() const;

 private:
  mutable Mutex mu_;
  std::uint64_t newest_ GUARDED_BY(mu_) = 0;
  std::shared_ptr<Stage> stage_ GUARDED_BY(mu_);
};

}  // namespace bramble::worker
