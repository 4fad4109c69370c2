#pragma once

#include "bramble/v1/cluster.grpc.pb.h"
#include "coordinator/cluster/admission.h"
#include "coordinator/cluster/fetch.h"
#include "coordinator/cluster/members.h"
#include "coordinator/cluster/task_thread.h"
#include "coordinator/state/store.h"

namespace bramble::coordinator {

// CoordinatorService: asks every caller but a joining one for its certificate, and hands the call
// to who does the work. gRPC's threads; nothing here waits. All arguments outlive the server that
// it is registered with.
class ClusterService : public v1::CoordinatorService::CallbackService {
 public:
  ClusterService(Admission* admission, Store* store, Members* members, WeightSource weights,
                 TaskThread* tasks)
      : admission_(admission),
        store_(store),
        members_(members),
        weights_(std::move(weights)),
        tasks_(tasks) {}

  grpc::ServerUnaryReactor* Join(grpc::CallbackServerContext* context,
                                 const v1::JoinRequest* request,
                                 v1::JoinResponse* response) override;
  grpc::ServerUnaryReactor* Renew(grpc::CallbackServerContext* context,
                                  const v1::RenewRequest* request,
                                  v1::RenewResponse* response) override;
  grpc::ServerBidiReactor<v1::AttendRequest, v1::AttendResponse>* Attend(
      grpc::CallbackServerContext* context) override;
  grpc::ServerWriteReactor<v1::FetchWeightResponse>* FetchWeight(
      grpc::CallbackServerContext* context, const v1::FetchWeightRequest* request) override;

 private:
  Admission* const admission_;
  Store* const store_;
  Members* const members_;
  const WeightSource weights_;
  TaskThread* const tasks_;
};

}  // namespace bramble::coordinator
