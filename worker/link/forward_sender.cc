#include "worker/link/forward_sender.h"

#include <grpcpp/channel.h>

#include <algorithm>
#include <string>
#include <utility>

#include "common/grpc_status.h"
#include "common/retire.h"
#include "worker/link/epoch_header.h"

namespace bramble::worker {

ForwardSender::ForwardSender(std::shared_ptr<Stage> stage,
                             const std::shared_ptr<grpc::Channel>& channel,
                             std::function<void()> on_open)
    : stage_(std::move(stage)),
      stub_(v1::WorkerService::NewStub(channel)),
      on_open_(std::move(on_open)) {}

std::shared_ptr<ForwardSender> ForwardSender::Start(std::shared_ptr<Stage> stage,
                                                    const std::shared_ptr<grpc::Channel>& channel,
                                                    std::function<void()> on_open) {
  std::shared_ptr<ForwardSender> sender(
      new ForwardSender(std::move(stage), channel, std::move(on_open)));
  sender->self_ = sender;
  sender->context_.AddMetadata(kEpochHeader, std::to_string(sender->stage_->options().epoch));
  sender->stub_->async()->Forward(&sender->context_, sender.get());
  // Writes start outside of reactions; the hold keeps OnDone away until reading has ended.
  sender->AddHold();
  sender->StartRead(&sender->response_);
  sender->StartCall();
  return sender;
}

void ForwardSender::OnReadDone(bool ok) {
  if (!ok) {
    {
      const MutexLock lock(mu_);
      closed_ = true;
    }
    RemoveHold();
    return;
  }
  {
    const MutexLock lock(mu_);
    allowed_ = std::max(allowed_, response_.taken() + response_.window());
    if (!writing_) WriteNext();
  }
  if (on_open_) std::exchange(on_open_, nullptr)();
  StartRead(&response_);
}

void ForwardSender::Send(Work work) {
  const MutexLock lock(mu_);
  if (closed_) return;
  waiting_.push_back(std::move(work.message));
  if (!writing_) WriteNext();
}

void ForwardSender::WriteNext() {
  if (closed_ || waiting_.empty() || waiting_.front().step().number() > allowed_) return;
  request_ = std::move(waiting_.front());
  waiting_.pop_front();
  writing_ = true;
  StartWrite(&request_);
}

void ForwardSender::OnWriteDone(bool ok) {
  {
    const MutexLock lock(mu_);
    writing_ = false;
    if (ok) WriteNext();
  }
  // After a failure OnDone follows, with the reason.
  if (ok) stage_->Sent();
}

void ForwardSender::OnDone(const grpc::Status& status) {
  const Status why = status.ok() ? Unavailable("it ended the stream") : FromGrpc(status);
  stage_->End(why.WithContext("the stream to " + stage_->options().next.node_id()));
  Retire(std::move(self_));
}

void ForwardSender::Close(const Status&) {
  {
    const MutexLock lock(mu_);
    closed_ = true;
  }
  context_.TryCancel();
}

}  // namespace bramble::worker
