#include "coordinator/serve/scheduler.h"

#include <future>
#include <utility>

#include "coordinator/serve/check_request.h"

namespace bramble::coordinator {

Scheduler::Scheduler(const SchedulerOptions& options, Clock& clock, Metrics& metrics)
    : options_(options),
      clock_(clock),
      metrics_(metrics),
      core_(clock, metrics, [this] { Ended(); }),
      thread_([this] { Loop(); }) {}

Scheduler::~Scheduler() {
  const Status why = Unavailable("the coordinator is stopping");
  Refuse(why);
  Detach(why);
  {
    const MutexLock lock(mu_);
    stopping_ = true;
  }
  changed_.NotifyAll();
  thread_.join();
}

Result<RequestId> Scheduler::Submit(GenerateRequest request, std::shared_ptr<GenerationSink> sink) {
  const Clock::TimePoint now = clock_.Now();
  const MutexLock lock(mu_);
  if (!refusal_.ok()) {
    metrics_.Refused("unavailable");
    return refusal_;
  }
  if (!plan_) {
    metrics_.Refused("unavailable");
    return Unavailable("the model is not loaded: no plan serves it now");
  }
  CompleteRequest(request, *plan_);
  const Status checked = CheckRequest(request, *plan_);
  if (!checked.ok()) {
    metrics_.Refused("invalid");
    return checked;
  }
  const std::uint32_t most = plan_->limits.max_sequences() + options_.max_queued;
  if (open_ >= most) {
    metrics_.Refused("queue_full");
    return Exhausted("the queue is full: ", open_, " requests run or wait, ", most,
                     " is the limit; try again later");
  }
  ++open_;
  const RequestId id(next_id_++);
  // Posted under the same lock that gave the id: requests reach the thread in the order of their
  // ids.
  events_.emplace_back(
      [id, now, request = std::move(request), sink = std::move(sink)](Core& core) mutable {
        core.Submit(id, std::move(request), std::move(sink), now);
      });
  changed_.NotifyAll();
  return id;
}

void Scheduler::Cancel(RequestId id) {
  Post([id](Core& core) { core.Cancel(id); });
}

void Scheduler::CancelAll() {
  Post([](Core& core) { core.CancelAll(); });
}

void Scheduler::Attach(const ServePlan& plan, std::shared_ptr<StepChannel> channel) {
  Post([plan, channel = std::move(channel)](Core& core) mutable {
    core.Attach(plan, std::move(channel));
  });
  const MutexLock lock(mu_);
  plan_ = plan;
}

void Scheduler::Detach(const Status& why) {
  {
    const MutexLock lock(mu_);
    plan_.reset();
  }
  PostAndWait([&why](Core& core) { core.Detach(why); });
}

void Scheduler::OnResult(v1::StepResult result) {
  Post([result = std::move(result)](Core& core) { core.OnResult(result); });
}

void Scheduler::OnFailure(v1::StepFailure failure) {
  Post([failure = std::move(failure)](Core& core) { core.OnFailure(failure); });
}

void Scheduler::OnLost(std::uint64_t epoch, const Status& why) {
  {
    const MutexLock lock(mu_);
    if (!plan_ || plan_->epoch != epoch) return;
    plan_.reset();
  }
  Post([why](Core& core) { core.Detach(why); });
}

void Scheduler::Refuse(const Status& why) {
  const MutexLock lock(mu_);
  refusal_ = why;
}

bool Scheduler::WaitIdle(Clock::TimePoint deadline) {
  {
    const MutexLock lock(mu_);
    while (open_ > 0) {
      if (clock_.Now() >= deadline) return false;
      clock_.WaitUntil(mu_, changed_, deadline);
    }
  }
  // The last request's place is free a moment before its sink hears the end.
  PostAndWait([](Core&) {});
  return true;
}

ServeSnapshot Scheduler::snapshot() const {
  const MutexLock lock(mu_);
  return snapshot_;
}

void Scheduler::Post(Event event) {
  const MutexLock lock(mu_);
  events_.push_back(std::move(event));
  changed_.NotifyAll();
}

void Scheduler::PostAndWait(Event event) {
  std::promise<void> done;
  Post([&event, &done](Core& core) {
    event(core);
    done.set_value();
  });
  done.get_future().wait();
}

void Scheduler::Ended() {
  const MutexLock lock(mu_);
  --open_;
  changed_.NotifyAll();
}

void Scheduler::Loop() {
  for (;;) {
    std::deque<Event> events;
    {
      const MutexLock lock(mu_);
      while (events_.empty() && !stopping_) {
        const std::optional<Clock::TimePoint> deadline = core_.NextDeadline();
        if (!deadline) {
          changed_.Wait(mu_);
          continue;
        }
        if (*deadline <= clock_.Now()) break;
        clock_.WaitUntil(mu_, changed_, *deadline);
      }
      if (events_.empty() && stopping_) return;
      events.swap(events_);
    }
    // All that has happened first, then one look at what to send: results that came together go out
    // together.
    for (Event& event : events) event(core_);
    core_.EndOverdue();
    core_.Pump();
    const ServeSnapshot now = core_.snapshot();
    metrics_.Serving(now);
    const MutexLock lock(mu_);
    snapshot_ = now;
  }
}

}  // namespace bramble::coordinator
