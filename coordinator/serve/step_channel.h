#pragma once

#include "bramble/v1/run.pb.h"

namespace bramble::coordinator {

// Where steps go. Their results and failures come back through Scheduler::OnResult and OnFailure,
// from any thread.
class StepChannel {
 public:
  StepChannel() = default;
  StepChannel(const StepChannel&) = delete;
  StepChannel& operator=(const StepChannel&) = delete;
  virtual ~StepChannel() = default;

  // Steps are numbered 1, 2, 3, ... and executed in this order by every stage. Never blocks.
  virtual void Send(v1::Step step) = 0;
};

}  // namespace bramble::coordinator
