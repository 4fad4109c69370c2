#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "common/mutex.h"
#include "common/status.h"
#include "coordinator/metrics.h"
#include "coordinator/serve/clock.h"
#include "coordinator/serve/core.h"
#include "coordinator/serve/generator.h"
#include "coordinator/serve/serve_plan.h"
#include "coordinator/serve/step_channel.h"

namespace bramble::coordinator {

struct SchedulerOptions {
  std::uint32_t max_queued = 256;  // requests beyond those that can run; more are refused
};

// Batches requests into steps and hands out what comes back, on one thread of its own: everything
// else posts to it. Life: outlives whatever calls it; Attach and Detach say which pipeline serves.
// Thread-safe.
class Scheduler : public Generator {
 public:
  // `clock` and `metrics` outlive it.
  Scheduler(const SchedulerOptions& options, Clock& clock, Metrics& metrics);
  // Ends every request with Unavailable.
  ~Scheduler() override;
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  Result<RequestId> Submit(GenerateRequest request, std::shared_ptr<GenerationSink> sink) override;
  void Cancel(RequestId id) override;

  // Serves through `channel` from now on. Detach first if something is attached.
  void Attach(const ServePlan& plan, std::shared_ptr<StepChannel> channel);
  // Ends every request with `why`; returns when the channel is no longer used. Not from a sink.
  void Detach(const Status& why);

  // Events of the attached channel. Those of another epoch are dropped.
  void OnResult(v1::StepResult result);
  void OnFailure(v1::StepFailure failure);
  // Ends every request at once if this epoch is the attached one, without waiting.
  void OnLost(std::uint64_t epoch, const Status& why);

  // Refuses new requests from now on.
  void Refuse(const Status& why);
  // Waits until no request is left and every sink has heard so; false if `deadline` (of the clock)
  // came first.
  bool WaitIdle(Clock::TimePoint deadline);
  void CancelAll();

  ServeSnapshot snapshot() const;

 private:
  using Event = std::function<void(Core&)>;

  void Post(Event event);
  void PostAndWait(Event event);
  void Loop();
  void Ended();

  const SchedulerOptions options_;
  Clock& clock_;
  Metrics& metrics_;

  mutable Mutex mu_;
  Condition changed_;
  std::deque<Event> events_ GUARDED_BY(mu_);
  bool stopping_ GUARDED_BY(mu_) = false;
  std::optional<ServePlan> plan_ GUARDED_BY(mu_);  // as Submit checks against
  Status refusal_ GUARDED_BY(mu_);                 // of all new requests, if not ok
  std::uint64_t next_id_ GUARDED_BY(mu_) = 1;
  std::uint32_t open_ GUARDED_BY(mu_) = 0;  // submitted and not ended
  ServeSnapshot snapshot_ GUARDED_BY(mu_);

  Core core_;           // the thread's
  std::thread thread_;  // the last: it uses the others
};

}  // namespace bramble::coordinator
