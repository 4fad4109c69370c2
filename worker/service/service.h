#pragma once

#include <functional>
#include <memory>

#include "bramble/v1/run.grpc.pb.h"
#include "worker/service/loader.h"
#include "worker/service/stage_slot.h"

namespace grpc {
class ChannelCredentials;
}

namespace bramble::worker {

// WorkerService: asks every caller for its certificate, and hands the call to who does the work.
// gRPC's threads; nothing here waits. The pointers outlive the server that it is registered with.
class Service : public v1::WorkerService::CallbackService {
 public:
  // `credentials` present this worker's certificate to other workers.
  Service(Loader* loader, StageSlot* slot, std::shared_ptr<grpc::ChannelCredentials> credentials)
      : loader_(loader), slot_(slot), credentials_(std::move(credentials)) {}

  grpc::ServerWriteReactor<v1::LoadResponse>* Load(grpc::CallbackServerContext* context,
                                                   const v1::LoadRequest* request) override;
  grpc::ServerBidiReactor<v1::RunRequest, v1::RunResponse>* Run(
      grpc::CallbackServerContext* context) override;
  grpc::ServerBidiReactor<v1::ForwardRequest, v1::ForwardResponse>* Forward(
      grpc::CallbackServerContext* context) override;
  grpc::ServerBidiReactor<v1::MeetRequest, v1::MeetResponse>* Meet(
      grpc::CallbackServerContext* context) override;

 private:
  // Opens the stage's own streams, to the next stage and to the other members of its group. Each
  // calls `opened` once.
  void DialNext(const std::shared_ptr<Stage>& stage, const std::function<void()>& opened);
  void DialMembers(const std::shared_ptr<Stage>& stage, const std::function<void()>& opened);

  Loader* const loader_;
  StageSlot* const slot_;
  const std::shared_ptr<grpc::ChannelCredentials> credentials_;
};

}  // namespace bramble::worker
