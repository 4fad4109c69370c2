#include "coordinator/cluster/service.h"

#include <string>

#include "common/grpc_status.h"
#include "common/identity/credentials.h"
#include "coordinator/cluster/attend.h"

namespace bramble::coordinator {
namespace {

Status Busy() { return Unavailable("the coordinator has too much to do: try again"); }

// "ipv4:10.0.0.7:40312" -> "ipv4:10.0.0.7".
std::string HostOf(const std::string& peer) { return peer.substr(0, peer.rfind(':')); }

// Runs `work` (() -> Result<Response>) on the task thread and answers with what it returns.
template <typename Response, typename Work>
grpc::ServerUnaryReactor* Answer(grpc::CallbackServerContext* context, Response* response,
                                 TaskThread* tasks, Work work) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const bool posted = tasks->Post([reactor, response, work = std::move(work)] {
    Result<Response> result = work();
    const grpc::Status status = ToGrpc(result.status());
    if (result.ok()) *response = *std::move(result);
    reactor->Finish(status);
  });
  if (!posted) reactor->Finish(ToGrpc(Busy()));
  return reactor;
}

}  // namespace

grpc::ServerUnaryReactor* ClusterService::Join(grpc::CallbackServerContext* context,
                                               const v1::JoinRequest* request,
                                               v1::JoinResponse* response) {
  return Answer(context, response, tasks_,
                [this, request, host = HostOf(context->peer())]() -> Result<v1::JoinResponse> {
                  return admission_->Join(*request, host, std::chrono::system_clock::now());
                });
}

grpc::ServerUnaryReactor* ClusterService::Renew(grpc::CallbackServerContext* context,
                                                const v1::RenewRequest* request,
                                                v1::RenewResponse* response) {
  auto who = RequirePeer(*context->auth_context(), {Role::kWorker, Role::kClient});
  return Answer(context, response, tasks_,
                [this, request, who = std::move(who)]() -> Result<v1::RenewResponse> {
                  if (!who.ok()) return who.status();
                  return admission_->Renew(*request, *who, std::chrono::system_clock::now());
                });
}

grpc::ServerBidiReactor<v1::AttendRequest, v1::AttendResponse>* ClusterService::Attend(
    grpc::CallbackServerContext* context) {
  auto who = RequirePeer(*context->auth_context(), {Role::kWorker});
  const auto stream = AttendStream::Make(who.ok() ? *who : PeerIdentity{}, members_);
  if (!who.ok()) {
    stream->End(who.status());
    return stream.get();
  }
  const bool posted = tasks_->Post([this, stream, who = *who] {
    const Status status = store_->CheckMember(who);
    if (status.ok()) {
      stream->Start();
    } else {
      stream->End(status);
    }
  });
  if (!posted) stream->End(Busy());
  return stream.get();
}

grpc::ServerWriteReactor<v1::FetchWeightResponse>* ClusterService::FetchWeight(
    grpc::CallbackServerContext* context, const v1::FetchWeightRequest* request) {
  const auto who = RequirePeer(*context->auth_context(), {Role::kWorker});
  FetchStream* stream = FetchStream::Make(*request, weights_, tasks_);
  if (who.ok()) {
    stream->Start();
  } else {
    stream->End(who.status());
  }
  return stream;
}

}  // namespace bramble::coordinator
