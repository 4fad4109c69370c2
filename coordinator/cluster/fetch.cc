#include "coordinator/cluster/fetch.h"

#include <algorithm>

#include "common/grpc_status.h"

namespace bramble::coordinator {

FetchStream* FetchStream::Make(const v1::FetchWeightRequest& request, const WeightSource& source,
                               TaskThread* tasks) {
  std::shared_ptr<FetchStream> stream(new FetchStream(request, source, tasks));
  stream->self_ = stream;
  return stream.get();
}

void FetchStream::Start() { PostNext(); }

void FetchStream::OnWriteDone(bool ok) {
  if (!ok) {
    End({Code::kCancelled, "the worker went away"});
    return;
  }
  PostNext();
}

void FetchStream::PostNext() {
  if (!tasks_->Post([self = shared_from_this()] { self->SendNext(); })) {
    End(Unavailable("the coordinator has too much to do: try again"));
  }
}

Status FetchStream::Find() {
  if (found_) return {};
  if (sha256_.size() != 32) return Invalid("sha256 has ", sha256_.size(), " bytes, not 32");
  ASSIGN_OR_RETURN(bytes_, source_(sha256_));
  if (offset_ > bytes_.size()) {
    return {Code::kOutOfRange, "offset " + std::to_string(offset_) + " is beyond the weight's " +
                                   std::to_string(bytes_.size()) + " bytes"};
  }
  found_ = true;
  return {};
}

void FetchStream::SendNext() {
  if (const Status status = Find(); !status.ok()) {
    End(status);
    return;
  }
  const std::size_t count = std::min<std::uint64_t>(bytes_.size() - offset_, kChunkBytes);
  if (count == 0) {
    End({});
    return;
  }
  response_.set_data(bytes_.data() + offset_, count);
  offset_ += count;
  const MutexLock lock(mu_);
  if (!ended_) StartWrite(&response_);
}

void FetchStream::End(const Status& why) {
  const MutexLock lock(mu_);
  if (ended_) return;
  ended_ = true;
  Finish(ToGrpc(why));
}

}  // namespace bramble::coordinator
