#include "worker/join.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/security/credentials.h>

#include <utility>

#include "bramble/v1/cluster.grpc.pb.h"
#include "common/channel.h"
#include "common/grpc_status.h"
#include "common/identity/credentials.h"
#include "common/identity/join_token.h"
#include "common/identity/pinned_root.h"
#include "common/log.h"

namespace bramble::worker {
namespace {

using SteadyClock = std::chrono::steady_clock;
using SystemClock = std::chrono::system_clock;

constexpr std::chrono::seconds kCallTime{10};
constexpr std::chrono::minutes kLookInterval{1};

// One attempt to join.
Result<NodeIdentity> TryToJoin(const JoinToken& token, const JoinOptions& options) {
  ASSIGN_OR_RETURN(
      const std::string root_pem,
      FetchPinnedRoot(options.coordinator, token.fingerprint, SteadyClock::now() + kCallTime));
  ASSIGN_OR_RETURN(const KeyAndRequest key, MakeKeyAndRequest(options.wished_name));
  const auto channel = OpenChannel(options.coordinator.ToString(), MakeJoinCredentials(root_pem),
                                   {.expected_node = kCoordinatorNodeId});
  const auto stub = v1::CoordinatorService::NewStub(channel);
  v1::JoinRequest request;
  request.set_token(token.ToString());
  request.set_certificate_request(key.request_der);
  request.set_wished_name(options.wished_name);
  v1::JoinResponse response;
  grpc::ClientContext context;
  context.set_deadline(SystemClock::now() + kCallTime);
  RETURN_IF_ERROR(FromGrpc(stub->Join(&context, request, &response)));
  ASSIGN_OR_RETURN(NodeIdentity identity,
                   MakeNodeIdentity(key.key_pem, response.certificate_chain_pem(), root_pem));
  if (identity.who.role != Role::kWorker) {
    return Denied("the token makes a ", RoleName(identity.who.role), ", not a worker");
  }
  return identity;
}

bool WorthAnotherTry(Code code) {
  return code == Code::kUnavailable || code == Code::kDeadlineExceeded;
}

}  // namespace

Result<NodeIdentity> JoinCluster(const IdentityStore& store, const JoinOptions& options) {
  auto present = store.Load();
  if (present.ok() && SystemClock::now() < present->not_after) return present;
  if (!present.ok() && present.status().code() != Code::kNotFound) {
    LogFailure("the stored identity is of no use", present.status());
  }
  if (options.token.empty()) {
    return Failed(store.folder(), ": ",
                  present.ok() ? "this worker's certificate has expired"
                               : "this worker has not joined a cluster yet",
                  "; give it a token with --token-file (`bramble token create` on the "
                  "coordinator's machine makes one)");
  }
  ASSIGN_OR_RETURN(const JoinToken token, ParseJoinToken(options.token));
  while (true) {
    auto identity = TryToJoin(token, options);
    if (identity.ok()) {
      RETURN_IF_ERROR(store.Save(*identity));
      LogInfo("joined", {{"cluster", identity->who.cluster_id}});
      return identity;
    }
    const Status why = identity.status().WithContext("joining " + options.coordinator.ToString());
    if (!WorthAnotherTry(why.code()) || SteadyClock::now() > options.deadline) return why;
    LogFailure("joining failed, trying again", why);
    if (options.pause()) return Status(Code::kCancelled, "stopped while joining");
  }
}

Status RenewIdentity(const IdentityStore& store, const std::shared_ptr<grpc::Channel>& channel) {
  ASSIGN_OR_RETURN(const NodeIdentity old, store.Load());
  ASSIGN_OR_RETURN(const KeyAndRequest key, MakeKeyAndRequest(old.who.node_id));
  const auto stub = v1::CoordinatorService::NewStub(channel);
  v1::RenewRequest request;
  request.set_certificate_request(key.request_der);
  v1::RenewResponse response;
  grpc::ClientContext context;
  context.set_deadline(SystemClock::now() + kCallTime);
  RETURN_IF_ERROR(FromGrpc(stub->Renew(&context, request, &response)));
  ASSIGN_OR_RETURN(const NodeIdentity fresh,
                   MakeNodeIdentity(key.key_pem, response.certificate_chain_pem(), old.root_pem));
  if (!(fresh.who == old.who)) return Internal("the renewed certificate names somebody else");
  return store.Save(fresh);
}

Renewal::Renewal(IdentityStore store, std::shared_ptr<grpc::Channel> channel)
    : store_(std::move(store)), channel_(std::move(channel)), thread_([this] { Loop(); }) {}

Renewal::~Renewal() {
  {
    const MutexLock lock(mu_);
    stopping_ = true;
  }
  changed_.NotifyAll();
  thread_.join();
}

void Renewal::Loop() {
  while (true) {
    const auto identity = store_.Load();
    Status status = identity.status();
    if (identity.ok() && identity->ShouldRenew(SystemClock::now())) {
      status = RenewIdentity(store_, channel_);
      if (status.ok()) LogInfo("certificate renewed");
    }
    if (!status.ok()) LogFailure("renewing the certificate failed", status);
    const auto end = SteadyClock::now() + kLookInterval;
    const MutexLock lock(mu_);
    while (!stopping_ && changed_.WaitUntil(mu_, end)) {
    }
    if (stopping_) return;
  }
}

}  // namespace bramble::worker
