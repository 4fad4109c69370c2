#include "worker/link/forward_receiver.h"

#include <utility>

#include "common/grpc_status.h"

namespace bramble::worker {

std::shared_ptr<ForwardReceiver> ForwardReceiver::Make(std::shared_ptr<Stage> stage) {
  std::shared_ptr<ForwardReceiver> stream(new ForwardReceiver(std::move(stage)));
  stream->self_ = stream;
  return stream;
}

ForwardReceiver* ForwardReceiver::Refuse(const Status& why) {
  const auto stream = Make(nullptr);
  stream->Close(why);
  return stream.get();
}

void ForwardReceiver::Open() {
  const MutexLock lock(mu_);
  if (closed_) return;
  WriteCredit();
  StartRead(&request_);
}

void ForwardReceiver::OnReadDone(bool ok) {
  if (!ok) {
    stage_->End(Lost());
    return;
  }
  const Status taken = stage_->Take(std::move(request_));
  if (!taken.ok()) {
    stage_->End(taken.WithContext("from " + stage_->options().previous));
    return;
  }
  request_.Clear();
  const MutexLock lock(mu_);
  if (!closed_) StartRead(&request_);
}

void ForwardReceiver::Taken(std::uint64_t number) {
  const MutexLock lock(mu_);
  taken_ = number;
  if (CreditIsDue()) WriteCredit();
}

bool ForwardReceiver::CreditIsDue() const {
  // Half a window at a time: as good for the sender, and half the messages.
  return !closed_ && !writing_ && 2 * (taken_ - response_.taken()) >= stage_->options().window;
}

void ForwardReceiver::WriteCredit() {
  response_.set_taken(taken_);
  response_.set_window(stage_->options().window);
  writing_ = true;
  StartWrite(&response_);
}

void ForwardReceiver::OnWriteDone(bool ok) {
  const MutexLock lock(mu_);
  writing_ = false;
  if (ok && CreditIsDue()) WriteCredit();
}

void ForwardReceiver::OnCancel() {
  if (stage_ != nullptr) stage_->End(Lost());
  Close({Code::kCancelled, "the call was cancelled"});
}

Status ForwardReceiver::Lost() const {
  return Unavailable("the stream from ", stage_->options().previous, " ended");
}

void ForwardReceiver::Close(const Status& why) {
  const MutexLock lock(mu_);
  if (std::exchange(closed_, true)) return;
  Finish(ToGrpc(why));
}

}  // namespace bramble::worker
