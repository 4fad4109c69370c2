#include "worker/link/meet_sender.h"

#include <grpcpp/channel.h>

#include <utility>

#include "common/grpc_status.h"
#include "common/retire.h"
#include "worker/link/epoch_header.h"

namespace bramble::worker {

MeetSender::MeetSender(std::shared_ptr<Stage> stage, std::string node_id,
                       const std::shared_ptr<grpc::Channel>& channel, std::function<void()> on_open)
    : stage_(std::move(stage)),
      node_id_(std::move(node_id)),
      stub_(v1::WorkerService::NewStub(channel)),
      on_open_(std::move(on_open)) {}

std::shared_ptr<MeetSender> MeetSender::Start(std::shared_ptr<Stage> stage, std::string node_id,
                                              const std::shared_ptr<grpc::Channel>& channel,
                                              std::function<void()> on_open) {
  std::shared_ptr<MeetSender> sender(
      new MeetSender(std::move(stage), std::move(node_id), channel, std::move(on_open)));
  sender->self_ = sender;
  sender->context_.AddMetadata(kEpochHeader, std::to_string(sender->stage_->options().epoch));
  sender->stub_->async()->Meet(&sender->context_, sender.get());
  // Writes start outside of reactions; the hold keeps OnDone away until reading has ended.
  sender->AddHold();
  sender->StartRead(&sender->response_);
  sender->StartCall();
  return sender;
}

void MeetSender::OnReadDone(bool ok) {
  if (!ok) {
    {
      const MutexLock lock(mu_);
      closed_ = true;
    }
    RemoveHold();
    return;
  }
  if (on_open_) std::exchange(on_open_, nullptr)();
  StartRead(&response_);
}

void MeetSender::Send(v1::MeetRequest request) {
  const MutexLock lock(mu_);
  if (closed_) return;
  waiting_.push_back(std::move(request));
  if (!writing_) WriteNext();
}

void MeetSender::WriteNext() {
  if (closed_ || waiting_.empty()) return;
  request_ = std::move(waiting_.front());
  waiting_.pop_front();
  writing_ = true;
  StartWrite(&request_);
}

void MeetSender::OnWriteDone(bool ok) {
  const MutexLock lock(mu_);
  writing_ = false;
  if (ok) WriteNext();  // else OnDone follows, with the reason
}

void MeetSender::OnDone(const grpc::Status& status) {
  const Status why = status.ok() ? Unavailable("it ended the stream") : FromGrpc(status);
  stage_->End(why.WithContext("the stream to " + node_id_));
  Retire(std::move(self_));
}

void MeetSender::Close(const Status&) {
  {
    const MutexLock lock(mu_);
    closed_ = true;
  }
  context_.TryCancel();
}

}  // namespace bramble::worker
