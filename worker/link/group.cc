#include "worker/link/group.h"

namespace bramble::worker {
namespace {

// Parts that wait for this member to come to their meeting. More is no member's doing that goes by
// the program: who is ahead waits in turn.
constexpr std::size_t kMostParts = std::size_t{1} << 16U;

}  // namespace

std::optional<std::uint32_t> Group::MemberOf(const std::string& node_id) const {
  for (std::uint32_t i = 0; i < members_.size(); ++i) {
    if (i != own_ && members_[i].node_id() == node_id) return i;
  }
  return std::nullopt;
}

Status Group::Connect(std::uint32_t member, std::shared_ptr<MeetOutlet> outlet) {
  const MutexLock lock(mu_);
  if (end_) return *end_;
  if (outlets_[member] != nullptr) {
    return {Code::kAlreadyExists, "member " + members_[member].node_id() + " is connected already"};
  }
  outlets_[member] = std::move(outlet);
  return {};
}

void Group::PassOn(const v1::ForwardRequest& step) {
  v1::MeetRequest request;
  *request.mutable_step() = step;
  SendToAll(request);
}

Status Group::Take(std::uint32_t member, v1::MeetRequest request) {
  const MutexLock lock(mu_);
  if (end_) return *end_;
  if (request.has_part()) {
    if (brought_.size() >= kMostParts) {
      return Exhausted(kMostParts, " parts of meetings wait already");
    }
    v1::MeetingPart& part = *request.mutable_part();
    brought_[{part.step(), part.meeting(), member}] = std::move(*part.mutable_rows());
  } else if (request.has_failure()) {
    const v1::StepFailure& failure = request.failure();
    failed_.insert_or_assign(std::pair(failure.number(), member),
                             Status(static_cast<Code>(failure.code()), failure.message())
                                 .WithContext("member " + members_[member].node_id()));
  } else {
    return Invalid("a message that is neither a part nor a failure");
  }
  changed_.NotifyAll();
  return {};
}

void Group::Begin(std::uint64_t step) {
  step_ = step;
  const MutexLock lock(mu_);
  brought_.erase(brought_.begin(), brought_.lower_bound({step, 0, 0}));
  failed_.erase(failed_.begin(), failed_.lower_bound({step, 0}));
}

void Group::Send(std::uint32_t meeting, std::optional<std::uint32_t> receiver, std::string bytes) {
  v1::MeetRequest request;
  request.mutable_part()->set_step(step_);
  request.mutable_part()->set_meeting(meeting);
  request.mutable_part()->set_rows(std::move(bytes));
  if (!receiver) return SendToAll(request);
  std::shared_ptr<MeetOutlet> outlet;
  {
    const MutexLock lock(mu_);
    outlet = outlets_[*receiver];
  }
  if (outlet != nullptr) outlet->Send(std::move(request));
}

void Group::SendToAll(const v1::MeetRequest& request) {
  std::vector<std::shared_ptr<MeetOutlet>> outlets;
  {
    const MutexLock lock(mu_);
    outlets = outlets_;
  }
  for (const auto& outlet : outlets) {
    if (outlet != nullptr) outlet->Send(request);
  }
}

std::optional<Result<std::string>> Group::Look(const Key& key) {
  const auto found = brought_.find(key);
  if (found != brought_.end()) {
    std::string bytes = std::move(found->second);
    brought_.erase(found);
    return bytes;
  }
  const auto failed = failed_.find({std::get<0>(key), std::get<2>(key)});
  if (failed != failed_.end()) return failed->second;
  if (end_) return *end_;
  return std::nullopt;
}

Result<std::string> Group::Await(std::uint32_t member, std::uint32_t meeting) {
  const MutexLock lock(mu_);
  while (true) {
    if (auto found = Look({step_, meeting, member})) return *std::move(found);
    changed_.Wait(mu_);
  }
}

void Group::Fail(const Status& why) {
  v1::MeetRequest request;
  v1::StepFailure& failure = *request.mutable_failure();
  failure.set_epoch(epoch_);
  failure.set_number(step_);
  failure.set_code(static_cast<std::uint32_t>(why.code()));
  failure.set_message(why.message());
  SendToAll(request);
}

void Group::Close(const Status& why) {
  std::vector<std::shared_ptr<MeetOutlet>> outlets;
  {
    const MutexLock lock(mu_);
    if (end_) return;
    end_ = why;
    outlets.swap(outlets_);
    outlets_.resize(members_.size());
  }
  changed_.NotifyAll();
}

}  // namespace bramble::worker
