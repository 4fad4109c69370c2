#pragma once

#include <grpcpp/client_context.h>
#include <grpcpp/support/client_callback.h>

#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "bramble/v1/run.grpc.pb.h"
#include "common/mutex.h"
#include "worker/link/group.h"
#include "worker/link/stage.h"

namespace grpc {
class Channel;
}

namespace bramble::worker {

// The stream to another member of the group. The stage ends when the stream does. Owns itself until
// OnDone. Thread-safe.
class MeetSender : public grpc::ClientBidiReactor<v1::MeetRequest, v1::MeetResponse>,
                   public Link,
                   public MeetOutlet {
 public:
  // Dials. `on_open` is called once, when the other takes messages.
  static std::shared_ptr<MeetSender> Start(std::shared_ptr<Stage> stage, std::string node_id,
                                           const std::shared_ptr<grpc::Channel>& channel,
                                           std::function<void()> on_open);

  void Close(const Status& why) override;
  void Send(v1::MeetRequest request) override;

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnDone(const grpc::Status& status) override;

 private:
  MeetSender(std::shared_ptr<Stage> stage, std::string node_id,
             const std::shared_ptr<grpc::Channel>& channel, std::function<void()> on_open);
  void WriteNext() REQUIRES(mu_);

  const std::shared_ptr<Stage> stage_;
  const std::string node_id_;
  const std::unique_ptr<v1::WorkerService::Stub> stub_;
  std::function<void()> on_open_;  // gRPC's threads; empty once called
  grpc::ClientContext context_;
  v1::MeetResponse response_;
  std::shared_ptr<MeetSender> self_;

  Mutex mu_;
  v1::MeetRequest request_;  // on its way while writing_
  std::deque<v1::MeetRequest> waiting_ GUARDED_BY(mu_);
  bool writing_ GUARDED_BY(mu_) = false;
  bool closed_ GUARDED_BY(mu_) = false;
};

}  // namespace bramble::worker
