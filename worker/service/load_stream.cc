#include "worker/service/load_stream.h"

#include <utility>

#include "common/grpc_status.h"

namespace bramble::worker {

std::shared_ptr<LoadStream> LoadStream::Make() {
  std::shared_ptr<LoadStream> stream(new LoadStream());
  stream->self_ = stream;
  return stream;
}

void LoadStream::Progress(std::uint64_t done, std::uint64_t total) {
  const MutexLock lock(mu_);
  if (ended_ || writing_) return;
  response_.set_bytes_done(done);
  response_.set_bytes_total(total);
  writing_ = true;
  StartWrite(&response_);
}

void LoadStream::Ready(v1::LoadResponse response) { End(std::move(response), {}); }

void LoadStream::Fail(const Status& why) { End(std::nullopt, why); }

void LoadStream::End(std::optional<v1::LoadResponse> response, const Status& why) {
  const MutexLock lock(mu_);
  if (std::exchange(ended_, true)) return;
  last_ = std::move(response);
  end_ = why;
  if (!writing_) FinishNow();
}

void LoadStream::FinishNow() {
  if (!last_) {
    Finish(ToGrpc(end_));
    return;
  }
  response_ = *std::move(last_);
  StartWriteAndFinish(&response_, grpc::WriteOptions(), ToGrpc(end_));
}

void LoadStream::OnWriteDone(bool) {
  const MutexLock lock(mu_);
  writing_ = false;
  if (ended_) FinishNow();
}

}  // namespace bramble::worker
