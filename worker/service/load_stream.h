#pragma once

#include <grpcpp/support/server_callback.h>

#include <memory>
#include <optional>

#include "bramble/v1/run.pb.h"
#include "common/mutex.h"
#include "common/status.h"
#include "worker/link/weight_fetcher.h"

namespace bramble::worker {

// The answer to one Load: progress, then `ready` or a reason. When the coordinator goes away,
// `cancellation` is told. Owns itself until OnDone. Thread-safe.
class LoadStream : public grpc::ServerWriteReactor<v1::LoadResponse> {
 public:
  static std::shared_ptr<LoadStream> Make();

  Cancellation& cancellation() { return cancellation_; }
  // Sent unless the one before is still on its way.
  void Progress(std::uint64_t done, std::uint64_t total);
  // One of these, once; later ones are ignored.
  void Ready(v1::LoadResponse response);
  void Fail(const Status& why);

  void OnWriteDone(bool ok) override;
  void OnCancel() override { cancellation_.Cancel(); }
  void OnDone() override { self_.reset(); }

 private:
  LoadStream() = default;
  void End(std::optional<v1::LoadResponse> response, const Status& why);
  void FinishNow() REQUIRES(mu_);

  std::shared_ptr<LoadStream> self_;
  Cancellation cancellation_;

  Mutex mu_;
  v1::LoadResponse response_;  // on its way while writing_
  bool writing_ GUARDED_BY(mu_) = false;
  bool ended_ GUARDED_BY(mu_) = false;
  std::optional<v1::LoadResponse> last_ GUARDED_BY(mu_);
  Status end_ GUARDED_BY(mu_);
};

}  // namespace bramble::worker
