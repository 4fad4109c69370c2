#include "coordinator/cluster/run_call.h"

#include <string>
#include <utility>

#include "common/grpc_status.h"
#include "common/retire.h"

namespace bramble::coordinator {

std::shared_ptr<RunCall> RunCall::Start(v1::WorkerService::Stub* stub, std::uint64_t epoch,
                                        Events events) {
  std::shared_ptr<RunCall> call(new RunCall(std::move(events)));
  call->self_ = call;
  call->context_.AddMetadata("bramble-epoch", std::to_string(epoch));
  stub->async()->Run(&call->context_, call.get());
  // Writes start outside of reactions; the hold keeps OnDone away until reading has ended.
  call->AddHold();
  call->StartRead(&call->response_);
  call->StartCall();
  return call;
}

void RunCall::Send(v1::Step step) {
  const MutexLock lock(mu_);
  if (ended_) return;
  waiting_.push_back(std::move(step));
  if (!writing_) WriteNext();
}

void RunCall::WriteNext() {
  if (waiting_.empty() || ended_) return;
  *request_.mutable_step() = std::move(waiting_.front());
  waiting_.pop_front();
  writing_ = true;
  StartWrite(&request_);
}

void RunCall::OnWriteDone(bool ok) {
  const MutexLock lock(mu_);
  writing_ = false;
  if (ok) WriteNext();
}

void RunCall::OnReadInitialMetadataDone(bool ok) {
  // A call that is refused at once may show metadata too, but not this.
  if (ok && context_.GetServerInitialMetadata().contains("bramble-epoch")) events_.on_open();
}

void RunCall::OnReadDone(bool ok) {
  if (ok) {
    events_.on_response(std::move(response_));
    response_.Clear();
    StartRead(&response_);
    return;
  }
  {
    const MutexLock lock(mu_);
    ended_ = true;
  }
  RemoveHold();
}

void RunCall::OnDone(const grpc::Status& status) {
  events_.on_end(FromGrpc(status));
  Retire(std::move(self_));
}

}  // namespace bramble::coordinator
