#pragma once

#include <grpcpp/client_context.h>
#include <grpcpp/support/client_callback.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>

#include "bramble/v1/run.grpc.pb.h"
#include "common/mutex.h"
#include "worker/link/stage.h"

namespace grpc {
class Channel;
}

namespace bramble::worker {

// The stream to the next stage: at most `window` steps beyond those taken there are in flight. The
// stage ends when the stream does. Owns itself until OnDone. Thread-safe.
class ForwardSender : public grpc::ClientBidiReactor<v1::ForwardRequest, v1::ForwardResponse>,
                      public Link,
                      public Outlet {
 public:
  // Dials. `on_open` is called once, with the first credits.
  static std::shared_ptr<ForwardSender> Start(std::shared_ptr<Stage> stage,
                                              const std::shared_ptr<grpc::Channel>& channel,
                                              std::function<void()> on_open);

  void Close(const Status& why) override;
  void Send(Work work) override;
  // One on its way and one behind it.
  std::size_t depth() const override { return 2; }

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnDone(const grpc::Status& status) override;

 private:
  ForwardSender(std::shared_ptr<Stage> stage, const std::shared_ptr<grpc::Channel>& channel,
                std::function<void()> on_open);
  void WriteNext() REQUIRES(mu_);

  const std::shared_ptr<Stage> stage_;
  const std::unique_ptr<v1::WorkerService::Stub> stub_;
  std::function<void()> on_open_;  // gRPC's threads; empty once called
  grpc::ClientContext context_;
  v1::ForwardResponse response_;
  std::shared_ptr<ForwardSender> self_;

  Mutex mu_;
  v1::ForwardRequest request_;  // on its way while writing_
  std::deque<v1::ForwardRequest> waiting_ GUARDED_BY(mu_);
  std::uint64_t allowed_ GUARDED_BY(mu_) = 0;  // the largest number that may be sent
  bool writing_ GUARDED_BY(mu_) = false;
  bool closed_ GUARDED_BY(mu_) = false;
};

}  // namespace bramble::worker
