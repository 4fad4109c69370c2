#pragma once

#include <grpcpp/client_context.h>
#include <grpcpp/support/client_callback.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>

#include "bramble/v1/run.grpc.pb.h"
#include "common/mutex.h"
#include "common/status.h"

namespace bramble::coordinator {

// The Run stream to one worker. Owns itself until OnDone. Thread-safe.
class RunCall : public grpc::ClientBidiReactor<v1::RunRequest, v1::RunResponse> {
 public:
  struct Events {
    std::function<void()> on_open;  // the worker, and its own stream to the next stage, are ready
    std::function<void(v1::RunResponse)> on_response;
    // The last call; always comes.
    std::function<void(Status)> on_end;
  };
  // Requires that `stub` outlives the call.
  static std::shared_ptr<RunCall> Start(v1::WorkerService::Stub* stub, std::uint64_t epoch,
                                        Events events);

  void Send(v1::Step step);
  void Cancel() { context_.TryCancel(); }

  void OnReadInitialMetadataDone(bool ok) override;
  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnDone(const grpc::Status& status) override;

 private:
  explicit RunCall(Events events) : events_(std::move(events)) {}
  void WriteNext() REQUIRES(mu_);

  grpc::ClientContext context_;
  const Events events_;
  v1::RunResponse response_;
  std::shared_ptr<RunCall> self_;

  Mutex mu_;
  v1::RunRequest request_;  // on its way while writing_
  std::deque<v1::Step> waiting_ GUARDED_BY(mu_);
  bool writing_ GUARDED_BY(mu_) = false;
  bool ended_ GUARDED_BY(mu_) = false;  // no write may start any more
};

}  // namespace bramble::coordinator
