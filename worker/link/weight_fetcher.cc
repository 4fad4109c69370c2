#include "worker/link/weight_fetcher.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "bramble/v1/cluster.grpc.pb.h"
#include "common/grpc_status.h"
#include "common/log.h"
#include "proto/program/weights.h"

namespace bramble::worker {

void Cancellation::Cancel() {
  const MutexLock lock(mu_);
  cancelled_ = true;
  if (call_ != nullptr) call_->TryCancel();
}

bool Cancellation::cancelled() const {
  const MutexLock lock(mu_);
  return cancelled_;
}

// Registers a call for as long as it lives.
class CancellableCall {
 public:
  CancellableCall(Cancellation* cancellation, grpc::ClientContext* call)
      : cancellation_(cancellation) {
    const MutexLock lock(cancellation_->mu_);
    cancellation_->call_ = call;
    if (cancellation_->cancelled_) call->TryCancel();
  }
  ~CancellableCall() {
    const MutexLock lock(cancellation_->mu_);
    cancellation_->call_ = nullptr;
  }
  CancellableCall(const CancellableCall&) = delete;
  CancellableCall& operator=(const CancellableCall&) = delete;

 private:
  Cancellation* const cancellation_;
};

namespace {

// What a program needs from elsewhere, each content once.
std::vector<const v1::Weight*> Foreign(const v1::Program& program) {
  std::vector<const v1::Weight*> weights;
  std::set<WeightHash> seen;
  for (const v1::Weight& weight : program.weights()) {
    if (weight.data().empty() && seen.insert(weight.sha256()).second) weights.push_back(&weight);
  }
  return weights;
}

bool WorthAnotherTry(Code code) {
  return code == Code::kUnavailable || code == Code::kDataLoss || code == Code::kCancelled;
}

}  // namespace

Status WeightFetcher::FetchAll(const v1::Program& program,
                               const std::function<void(std::uint64_t, std::uint64_t)>& progress,
                               Cancellation* cancellation) {
  const std::vector<const v1::Weight*> weights = Foreign(program);
  std::set<WeightHash> keep;
  std::uint64_t total = 0;
  std::uint64_t missing = 0;
  for (const v1::Weight* weight : weights) {
    const std::uint64_t size = program::WeightBytes(*weight);
    total += size;
    if (!store_->Has(weight->sha256(), size)) missing += size;
    keep.insert(weight->sha256());
  }
  if (missing > 0) RETURN_IF_ERROR(store_->MakeRoom(missing, keep));
  std::uint64_t done = 0;
  progress(done, total);
  for (const v1::Weight* weight : weights) {
    const auto here = [&](std::uint64_t bytes) { progress(done + bytes, total); };
    RETURN_IF_ERROR(
        FetchOne(*weight, cancellation, here).WithContext("weight '" + weight->name() + "'"));
    done += program::WeightBytes(*weight);
    progress(done, total);
  }
  return {};
}

Status WeightFetcher::FetchOne(const v1::Weight& weight, Cancellation* cancellation,
                               const std::function<void(std::uint64_t)>& here) {
  const WeightHash& hash = weight.sha256();
  const std::uint64_t size = program::WeightBytes(weight);
  Status status;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    if (cancellation->cancelled()) return {Code::kCancelled, "the load was cancelled"};
    // Mapping verifies; the mapping itself is made again by who reads it.
    status = store_->Map(hash, size).status();
    if (status.ok()) return {};
    if (status.code() == Code::kDataLoss) LogFailure("a stored weight is unsound", status);
    if (status.code() != Code::kNotFound && status.code() != Code::kDataLoss) return status;
    auto download = store_->Fetch(hash, size);
    if (!download.ok()) return download.status();
    status = Receive(*download, hash, cancellation, here);
    if (status.ok()) status = download->Finish();
    if (status.ok()) return {};
    if (!WorthAnotherTry(status.code())) return status;
    LogFailure("fetching a weight broke off", status, {{"weight", weight.name()}});
  }
  return status;
}

Status WeightFetcher::Receive(Download& download, const WeightHash& hash,
                              Cancellation* cancellation,
                              const std::function<void(std::uint64_t)>& here) {
  if (download.offset() == download.size()) return {};
  const auto stub = v1::CoordinatorService::NewStub(channel_);
  grpc::ClientContext context;
  const CancellableCall call(cancellation, &context);
  v1::FetchWeightRequest request;
  request.set_sha256(hash);
  request.set_offset(download.offset());
  const auto reader = stub->FetchWeight(&context, request);
  v1::FetchWeightResponse response;
  Status status;
  while (status.ok() && reader->Read(&response)) {
    if (received_) received_(response.data().size());
    status = download.Append(response.data());
    here(download.offset());
  }
  if (!status.ok()) context.TryCancel();
  const Status end = FromGrpc(reader->Finish());
  if (!status.ok()) return status;
  RETURN_IF_ERROR(end);
  if (download.offset() == download.size()) return {};
  return Unavailable("the coordinator sent ", download.offset(), " of ", download.size(), " bytes");
}

}  // namespace bramble::worker
