#include "worker/link/stage.h"

#include <algorithm>
#include <utility>

#include "common/log.h"
#include "worker/link/group.h"

namespace bramble::worker {
namespace {

using Clock = std::chrono::steady_clock;

std::uint32_t Microseconds(Clock::duration duration) {
  const auto count = std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(count, 0, UINT32_MAX));
}

}  // namespace

void Fail(Work& work, const Status& why, std::optional<std::uint32_t> sequence) {
  v1::ForwardRequest& message = work.message;
  v1::StepFailure& failure = *message.mutable_failure();
  failure.set_epoch(message.step().epoch());
  failure.set_number(message.step().number());
  failure.set_code(static_cast<std::uint32_t>(why.code()));
  failure.set_message(why.message());
  if (sequence) failure.set_sequence(*sequence);
  message.mutable_step()->clear_spans();
  message.clear_activations();
  work.outputs.clear();
}

Stage::Stage(StageOptions options, ComputeThread* thread, Compute compute)
    : options_(std::move(options)), thread_(thread), compute_(std::move(compute)) {
  if (options_.group != nullptr) links_.push_back(options_.group);
}

Status Stage::Claim() {
  const MutexLock lock(mu_);
  if (end_) return *end_;
  if (!std::exchange(claimed_, true)) return {};
  return {Code::kAlreadyExists,
          "epoch " + std::to_string(options_.epoch) + " is run by another stream already"};
}

Status Stage::Attach(const std::shared_ptr<Link>& link) {
  const MutexLock lock(mu_);
  if (end_) return *end_;
  links_.push_back(link);
  return {};
}

Status Stage::SetInlet(const std::shared_ptr<Inlet>& inlet) {
  const MutexLock lock(mu_);
  if (end_) return *end_;
  if (inlet_ != nullptr) {
    return {Code::kAlreadyExists, "the steps of epoch " + std::to_string(options_.epoch) +
                                      " come by another stream already"};
  }
  inlet_ = inlet;
  return {};
}

Status Stage::SetOutlet(const std::shared_ptr<Outlet>& outlet) {
  const MutexLock lock(mu_);
  if (end_) return *end_;
  if (outlet_ != nullptr) {
    return {Code::kAlreadyExists, "the steps of epoch " + std::to_string(options_.epoch) +
                                      " leave by another stream already"};
  }
  outlet_ = outlet;
  Schedule();
  return {};
}

Status Stage::Take(v1::ForwardRequest message) {
  Work work{.message = std::move(message), .outputs = {}, .arrived = Clock::now()};
  const v1::Step& step = work.message.step();
  const MutexLock lock(mu_);
  if (end_) return *end_;
  if (step.epoch() != options_.epoch) {
    return Failed("a step of epoch ", step.epoch(), " came on a stream of epoch ", options_.epoch);
  }
  if (step.number() != due_) {
    return Invalid("step ", step.number(), " came where ", due_, " is due");
  }
  if (inbox_.size() >= options_.window) {
    return Exhausted("step ", step.number(), " came though ", inbox_.size(),
                     " wait, as many as the window allows");
  }
  ++due_;
  inbox_.push_back(std::move(work));
  Schedule();
  return {};
}

void Stage::Sent() {
  const MutexLock lock(mu_);
  --in_outlet_;
  Schedule();
}

void Stage::Schedule() {
  if (scheduled_ || end_ || inbox_.empty() || outlet_ == nullptr) return;
  if (in_outlet_ >= outlet_->depth()) return;
  scheduled_ = true;
  thread_->Post([self = shared_from_this()] { self->RunDue(); });
}

bool Stage::Next(Work& work, std::shared_ptr<Inlet>& inlet, std::shared_ptr<Outlet>& outlet) {
  const MutexLock lock(mu_);
  if (end_ || inbox_.empty() || in_outlet_ >= outlet_->depth()) {
    scheduled_ = false;
    return false;
  }
  work = std::move(inbox_.front());
  inbox_.pop_front();
  ++in_outlet_;
  inlet = inlet_;
  outlet = outlet_;
  return true;
}

void Stage::RunDue() {
  Work work;
  std::shared_ptr<Inlet> inlet;
  std::shared_ptr<Outlet> outlet;
  while (Next(work, inlet, outlet)) {
    const std::uint64_t number = work.message.step().number();
    const Clock::time_point start = Clock::now();
    compute_(work);
    // What was cut short by the end is no failure of the step's own.
    if (ended()) continue;
    v1::StageTime& time = *work.message.add_stages();
    time.set_wait_us(Microseconds(start - work.arrived));
    time.set_compute_us(Microseconds(Clock::now() - start));
    outlet->Send(std::move(work));
    // Last: a credit costs a write, which would delay the step.
    if (inlet != nullptr) inlet->Taken(number);
  }
}

void Stage::End(const Status& why) {
  std::vector<std::shared_ptr<Link>> links;
  {
    const MutexLock lock(mu_);
    if (end_) return;
    end_ = why;
    links.swap(links_);
    inlet_.reset();
    outlet_.reset();
    inbox_.clear();
  }
  LogInfo("stage ended", {{"epoch", options_.epoch}, {"reason", why.message()}});
  for (const auto& link : links) link->Close(why);
  thread_->Post([self = shared_from_this()] { self->compute_ = nullptr; });
}

bool Stage::ended() const {
  const MutexLock lock(mu_);
  return end_.has_value();
}

}  // namespace bramble::worker
