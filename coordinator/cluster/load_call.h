#pragma once

#include <grpcpp/client_context.h>
#include <grpcpp/support/client_callback.h>

#include <functional>
#include <memory>
#include <string>

#include "bramble/v1/run.grpc.pb.h"
#include "common/status.h"
#include "coordinator/cluster/pipeline.h"

namespace bramble::coordinator {

// The Load call to one worker. Owns itself until OnDone.
class LoadCall : public grpc::ClientReadReactor<v1::LoadResponse> {
 public:
  struct Events {
    std::function<void(const LoadProgress&)> on_progress;
    // The last call.
    std::function<void(Result<LoadedStage>)> on_end;
  };
  // Requires that `stub` outlives the call.
  static std::shared_ptr<LoadCall> Start(v1::WorkerService::Stub* stub, std::string node_id,
                                         v1::LoadRequest request, Events events);

  void Cancel() { context_.TryCancel(); }

  void OnReadDone(bool ok) override;
  void OnDone(const grpc::Status& status) override;

 private:
  LoadCall(std::string node_id, v1::LoadRequest request, Events events)
      : request_(std::move(request)), events_(std::move(events)) {
    loaded_.node_id = std::move(node_id);
  }

  grpc::ClientContext context_;
  const v1::LoadRequest request_;
  const Events events_;
  v1::LoadResponse response_;
  LoadedStage loaded_;
  bool ready_ = false;
  std::shared_ptr<LoadCall> self_;
};

}  // namespace bramble::coordinator
