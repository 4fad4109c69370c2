#include "coordinator/serve/core.h"

#include <algorithm>

#include "common/check.h"
#include "coordinator/serve/check_request.h"

namespace bramble::coordinator {

Core::Core(const Clock& clock, Metrics& metrics, std::function<void()> ended)
    : clock_(clock), metrics_(metrics), ended_(std::move(ended)) {}

void Core::Attach(const ServePlan& plan, std::shared_ptr<StepChannel> channel) {
  CHECK(!channel_ && sequences_.empty());
  plan_ = plan;
  channel_ = std::move(channel);
  pool_ = std::make_unique<PagePool>(plan.limits.pages(), plan.limits.page_positions());
  free_slots_.clear();
  for (std::uint32_t slot = plan.limits.max_sequences(); slot > 0; --slot) {
    free_slots_.push_back(slot - 1);
  }
  closed_.clear();
  steps_ = 0;
  groups_ = Groups(plan.stages);
}

void Core::Detach(const Status& why) {
  EndAll(FinishReason::kError, why);
  in_flight_.clear();
  drawing_steps_ = 0;
  channel_.reset();
  pool_.reset();
}

void Core::Submit(RequestId id, GenerateRequest request, std::shared_ptr<GenerationSink> sink,
                  Clock::TimePoint submitted) {
  auto made = std::make_unique<Sequence>();
  Sequence& sequence = *made;
  sequence.id = id;
  sequence.request = std::move(request);
  sequence.sink = std::move(sink);
  sequence.ids = sequence.request.prompt_ids;
  sequence.submitted = submitted;
  sequences_.emplace(id, std::move(made));
  waiting_.emplace(id, &sequence);
  // The plan may have changed since the request was checked on its way in.
  const Status status = channel_ ? CheckRequest(sequence.request, plan_)
                                 : Unavailable("the model is not loaded: no plan serves it now");
  if (!status.ok()) End(sequence, FinishReason::kError, status);
}

void Core::Cancel(RequestId id) {
  const auto found = sequences_.find(id);
  if (found != sequences_.end()) End(*found->second, FinishReason::kCancelled, {});
}

void Core::CancelAll() { EndAll(FinishReason::kCancelled, {}); }

void Core::EndAll(FinishReason reason, const Status& status) {
  while (!sequences_.empty()) End(*sequences_.begin()->second, reason, status);
}

void Core::EndOverdue() {
  const Clock::TimePoint now = clock_.Now();
  std::vector<Sequence*> overdue;
  for (const auto& [id, sequence] : sequences_) {
    if (sequence->request.deadline && *sequence->request.deadline <= now) {
      overdue.push_back(sequence.get());
    }
  }
  for (Sequence* sequence : overdue) {
    End(*sequence, FinishReason::kError,
        {Code::kDeadlineExceeded, "the request's deadline came after " +
                                      std::to_string(sequence->generated) + " generated ids"});
  }
}

std::optional<Clock::TimePoint> Core::NextDeadline() const {
  std::optional<Clock::TimePoint> next;
  for (const auto& [id, sequence] : sequences_) {
    const std::optional<Clock::TimePoint>& deadline = sequence->request.deadline;
    if (deadline && (!next || *deadline < *next)) next = deadline;
  }
  return next;
}

void Core::Pump() {
  if (!channel_) return;
  do {
    AdmitWaiting();
  } while (in_flight_.size() <= plan_.stages && SendNext());
}

ServeSnapshot Core::snapshot() const {
  ServeSnapshot now;
  now.running = static_cast<std::uint32_t>(running_.size());
  now.queued = static_cast<std::uint32_t>(waiting_.size());
  now.steps_in_flight = static_cast<std::uint32_t>(in_flight_.size());
  now.steps = steps_;
  if (pool_) {
    now.pages = pool_->pages();
    now.pages_in_use = pool_->in_use();
    now.pages_cached = pool_->kept();
  }
  return now;
}

}  // namespace bramble::coordinator
