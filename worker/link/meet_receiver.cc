#include "worker/link/meet_receiver.h"

#include <utility>

#include "common/grpc_status.h"

namespace bramble::worker {

std::shared_ptr<MeetReceiver> MeetReceiver::Make(std::shared_ptr<Stage> stage,
                                                 std::uint32_t member) {
  std::shared_ptr<MeetReceiver> stream(new MeetReceiver(std::move(stage), member));
  stream->self_ = stream;
  return stream;
}

MeetReceiver* MeetReceiver::Refuse(const Status& why) {
  const auto stream = Make(nullptr, 0);
  stream->Close(why);
  return stream.get();
}

void MeetReceiver::Open() {
  const MutexLock lock(mu_);
  if (closed_) return;
  StartWrite(&response_);
  ReadNext();
}

void MeetReceiver::ReadNext() {
  if (closed_ || reading_ || untaken_ >= stage_->options().window) return;
  reading_ = true;
  StartRead(&request_);
}

void MeetReceiver::OnReadDone(bool ok) {
  if (!ok) return stage_->End(Lost());
  Status taken;
  {
    // Locked all the way: Taken must find the step counted.
    const MutexLock lock(mu_);
    taken = TakeMessage();
    reading_ = false;
    if (taken.ok()) ReadNext();
  }
  if (!taken.ok()) stage_->End(taken.WithContext("from " + NodeId()));
}

Status MeetReceiver::TakeMessage() {
  if (!request_.has_step()) {
    const Status taken = stage_->options().group->Take(member_, std::move(request_));
    request_.Clear();
    return taken;
  }
  if (member_ != 0) return Invalid("a step came from a member that does not lead");
  v1::ForwardRequest step = std::move(*request_.mutable_step());
  request_.Clear();
  RETURN_IF_ERROR(stage_->Take(std::move(step)));
  ++untaken_;
  return {};
}

void MeetReceiver::Taken(std::uint64_t) {
  const MutexLock lock(mu_);
  --untaken_;
  ReadNext();
}

void MeetReceiver::OnCancel() {
  if (stage_ != nullptr) stage_->End(Lost());
  Close({Code::kCancelled, "the call was cancelled"});
}

const std::string& MeetReceiver::NodeId() const {
  return stage_->options().group->members()[member_].node_id();
}

Status MeetReceiver::Lost() const { return Unavailable("the stream from ", NodeId(), " ended"); }

void MeetReceiver::Close(const Status& why) {
  const MutexLock lock(mu_);
  if (std::exchange(closed_, true)) return;
  Finish(ToGrpc(why));
}

}  // namespace bramble::worker
