#include "worker/link/attend_call.h"

#include <grpcpp/channel.h>

#include <utility>

#include "common/grpc_status.h"
#include "common/retire.h"

namespace bramble::worker {

AttendCall::AttendCall(const std::shared_ptr<grpc::Channel>& channel)
    : stub_(v1::CoordinatorService::NewStub(channel)) {}

std::shared_ptr<AttendCall> AttendCall::Start(const std::shared_ptr<grpc::Channel>& channel) {
  std::shared_ptr<AttendCall> call(new AttendCall(channel));
  call->self_ = call;
  call->stub_->async()->Attend(&call->context_, call.get());
  // Writes start outside of reactions; the hold keeps OnDone away until reading has ended.
  call->AddHold();
  call->StartRead(&call->response_);
  call->StartCall();
  return call;
}

void AttendCall::Beat(v1::AttendRequest request) {
  const MutexLock lock(mu_);
  if (closed_ || writing_) return;
  request_ = std::move(request);
  request_.set_beat(++beat_);
  request_.set_round_trip_seconds(round_trip_seconds_);
  beat_sent_ = Clock::now();
  writing_ = true;
  StartWrite(&request_);
}

void AttendCall::Leave() {
  const MutexLock lock(mu_);
  if (closed_) return;
  closed_ = true;
  StartWritesDone();
}

AttendCall::Clock::time_point AttendCall::heard() const {
  const MutexLock lock(mu_);
  return heard_;
}

bool AttendCall::answered() const {
  const MutexLock lock(mu_);
  return answered_;
}

bool AttendCall::WaitEnd(Clock::time_point deadline) {
  const MutexLock lock(mu_);
  while (!ended_) {
    if (!changed_.WaitUntil(mu_, deadline)) return ended_;
  }
  return true;
}

Status AttendCall::end() const {
  const MutexLock lock(mu_);
  return end_;
}

void AttendCall::OnReadDone(bool ok) {
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
    answered_ = true;
    heard_ = Clock::now();
    if (response_.beat() == beat_) {
      round_trip_seconds_ = std::chrono::duration<double>(heard_ - beat_sent_).count();
    }
  }
  StartRead(&response_);
}

void AttendCall::OnWriteDone(bool) {
  const MutexLock lock(mu_);
  writing_ = false;
}

void AttendCall::OnDone(const grpc::Status& status) {
  {
    const MutexLock lock(mu_);
    ended_ = true;
    end_ = FromGrpc(status);
    changed_.NotifyAll();
  }
  Retire(std::move(self_));
}

}  // namespace bramble::worker
