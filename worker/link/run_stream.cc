#include "worker/link/run_stream.h"

#include <utility>

#include "common/grpc_status.h"

namespace bramble::worker {

std::shared_ptr<RunStream> RunStream::Make(std::shared_ptr<Stage> stage) {
  std::shared_ptr<RunStream> stream(new RunStream(std::move(stage)));
  stream->self_ = stream;
  return stream;
}

RunStream* RunStream::Refuse(const Status& why) {
  const auto stream = Make(nullptr);
  stream->Close(why);
  return stream.get();
}

void RunStream::Open() {
  const MutexLock lock(mu_);
  if (closed_) return;
  StartSendInitialMetadata();
  ReadNext();
}

void RunStream::ReadNext() {
  if (closed_ || reading_ || untaken_ >= stage_->options().window) return;
  reading_ = true;
  StartRead(&request_);
}

void RunStream::OnReadDone(bool ok) {
  Status status = ok ? TakeStep() : Status(Code::kCancelled, "the coordinator ended the plan");
  if (!status.ok()) stage_->End(status);
}

Status RunStream::TakeStep() {
  if (!stage_->options().first) {
    return Invalid("a step came from the coordinator, but this is not the first stage");
  }
  v1::ForwardRequest message;
  *message.mutable_step() = std::move(*request_.mutable_step());
  request_.Clear();
  // Locked all the way: Taken must find the step counted.
  const MutexLock lock(mu_);
  RETURN_IF_ERROR(stage_->Take(std::move(message)));
  ++untaken_;
  reading_ = false;
  ReadNext();
  return {};
}

void RunStream::Taken(std::uint64_t) {
  const MutexLock lock(mu_);
  --untaken_;
  ReadNext();
}

void RunStream::Send(Work work) {
  v1::RunResponse response;
  v1::ForwardRequest& message = work.message;
  if (message.has_failure()) {
    *response.mutable_failure() = std::move(*message.mutable_failure());
  } else {
    v1::StepResult& result = *response.mutable_result();
    result.set_epoch(message.step().epoch());
    result.set_number(message.step().number());
    for (v1::OutputResult& output : work.outputs) *result.add_outputs() = std::move(output);
    for (std::string& values : *message.mutable_activations()) {
      result.add_values(std::move(values));
    }
    result.mutable_stages()->Swap(message.mutable_stages());
  }
  const MutexLock lock(mu_);
  if (closed_) return;
  waiting_.push_back(std::move(response));
  if (!writing_) WriteNext();
}

void RunStream::WriteNext() {
  if (waiting_.empty() || closed_) return;
  response_ = std::move(waiting_.front());
  waiting_.pop_front();
  writing_ = true;
  StartWrite(&response_);
}

void RunStream::OnWriteDone(bool ok) {
  {
    const MutexLock lock(mu_);
    writing_ = false;
    if (ok) WriteNext();
  }
  if (ok) {
    stage_->Sent();
  } else {
    stage_->End({Code::kCancelled, "the coordinator went away"});
  }
}

void RunStream::OnCancel() {
  const Status why(Code::kCancelled, "the coordinator ended the plan");
  if (stage_ != nullptr) stage_->End(why);
  Close(why);
}

void RunStream::Close(const Status& why) {
  const MutexLock lock(mu_);
  if (std::exchange(closed_, true)) return;
  waiting_.clear();
  Finish(ToGrpc(why));
}

}  // namespace bramble::worker
