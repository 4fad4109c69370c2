#include "coordinator/cluster/load_call.h"

#include <utility>

#include "common/grpc_status.h"
#include "common/retire.h"

namespace bramble::coordinator {

std::shared_ptr<LoadCall> LoadCall::Start(v1::WorkerService::Stub* stub, std::string node_id,
                                          v1::LoadRequest request, Events events) {
  std::shared_ptr<LoadCall> call(
      new LoadCall(std::move(node_id), std::move(request), std::move(events)));
  call->self_ = call;
  stub->async()->Load(&call->context_, &call->request_, call.get());
  call->StartRead(&call->response_);
  call->StartCall();
  return call;
}

void LoadCall::OnReadDone(bool ok) {
  if (!ok) return;
  events_.on_progress({.node_id = loaded_.node_id,
                       .bytes_done = response_.bytes_done(),
                       .bytes_total = response_.bytes_total()});
  if (response_.ready()) {
    ready_ = true;
    loaded_.memory = response_.memory();
    loaded_.variants.assign(response_.variants().begin(), response_.variants().end());
  }
  StartRead(&response_);
}

void LoadCall::OnDone(const grpc::Status& status) {
  Status end = FromGrpc(status);
  if (end.ok() && !ready_) end = Internal("Load ended before the worker was ready");
  if (end.ok()) {
    events_.on_end(std::move(loaded_));
  } else {
    events_.on_end(end.WithContext("worker " + loaded_.node_id));
  }
  Retire(std::move(self_));
}

}  // namespace bramble::coordinator
