#include "coordinator/cluster/server.h"

#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <chrono>
#include <optional>
#include <thread>
#include <utility>

#include "common/channel.h"
#include "common/identity/credentials.h"
#include "common/log.h"
#include "common/mutex.h"
#include "coordinator/cluster/admission.h"
#include "coordinator/cluster/service.h"
#include "coordinator/cluster/task_thread.h"

namespace bramble::coordinator {
namespace {

using SystemClock = std::chrono::system_clock;

// How often silence is looked for: a tenth of what counts as silence.
constexpr std::chrono::milliseconds kLookInterval = Members::kSilence / 10;
// How often the store is asked whom the command line has removed.
constexpr std::chrono::seconds kRemovalInterval{1};
constexpr std::chrono::minutes kRenewalInterval{1};

// Sees to it that the identity in the store is the coordinator's, of this cluster, and not near its
// end.
Status KeepOwnIdentity(const IdentityStore& identities, const CertificateAuthority& authority,
                       Store& store) {
  const auto now = SystemClock::now();
  auto present = identities.Load();
  if (present.ok() && present->who.cluster_id == authority.cluster_id() &&
      present->who.role == Role::kCoordinator && !present->ShouldRenew(now)) {
    return {};
  }
  ASSIGN_OR_RETURN(const KeyAndRequest key, MakeKeyAndRequest(kCoordinatorNodeId));
  ASSIGN_OR_RETURN(const IssuedCertificate certificate,
                   authority.Issue(key.request_der, Role::kCoordinator, kCoordinatorNodeId));
  ASSIGN_OR_RETURN(const NodeIdentity identity,
                   MakeNodeIdentity(key.key_pem, certificate.chain_pem, authority.root_pem()));
  RETURN_IF_ERROR(identities.Save(identity));
  MemberRecord record;
  record.node_id = kCoordinatorNodeId;
  record.role = Role::kCoordinator;
  record.joined = now;
  record.certificate_serial = certificate.serial;
  record.certificate_expires = certificate.not_after;
  return store.PutMember(record);
}

class Server final : public ClusterServer {
 public:
  explicit Server(ClusterOptions options)
      : options_(std::move(options)),
        identities_(options_.identity_folder),
        admission_(*options_.authority, *options_.store) {}
  ~Server() override { Server::Shutdown(); }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  Status Listen();

  const HostPort& address() const override { return address_; }
  std::shared_ptr<grpc::ChannelCredentials> credentials() const override { return credentials_; }
  void Shutdown() override;

 private:
  void Watch();
  // Forgets the members that the store says were removed.
  void ForgetRemoved();

  const ClusterOptions options_;
  const IdentityStore identities_;
  Admission admission_;
  std::optional<TaskThread> tasks_;
  std::unique_ptr<ClusterService> service_;
  std::shared_ptr<grpc::ChannelCredentials> credentials_;
  HostPort address_;
  std::unique_ptr<grpc::Server> server_;

  Mutex mu_;
  Condition stop_;
  bool stopping_ GUARDED_BY(mu_) = false;
  std::thread watch_;
};

Status Server::Listen() {
  RETURN_IF_ERROR(KeepOwnIdentity(identities_, *options_.authority, *options_.store));
  ASSIGN_OR_RETURN(credentials_, MakeChannelCredentials(identities_));
  ASSIGN_OR_RETURN(auto server_credentials,
                   MakeServerCredentials(identities_, ClientCertificates::kRequested));
  tasks_.emplace();
  service_ = std::make_unique<ClusterService>(&admission_, options_.store, options_.members,
                                              options_.weights, &*tasks_);
  grpc::ServerBuilder builder;
  ConfigureServer(builder, kSmallMessage);
  int port = 0;
  builder.AddListeningPort(options_.listen.ToString(), server_credentials, &port);
  builder.RegisterService(service_.get());
  server_ = builder.BuildAndStart();
  if (server_ == nullptr || port == 0) {
    return Failed("cannot listen on ", options_.listen.ToString(),
                  ": is it an address of this machine, and is the port free?");
  }
  address_ = {options_.listen.host, static_cast<std::uint16_t>(port)};
  watch_ = std::thread([this] { Watch(); });
  return {};
}

void Server::Watch() {
  auto next_renewal = std::chrono::steady_clock::now() + kRenewalInterval;
  auto next_removal = std::chrono::steady_clock::now() + kRemovalInterval;
  while (true) {
    const auto now = std::chrono::steady_clock::now();
    {
      const MutexLock lock(mu_);
      if (!stopping_) stop_.WaitUntil(mu_, now + kLookInterval);
      if (stopping_) return;
    }
    options_.members->DropSilent();
    if (now >= next_removal && tasks_->Post([this] { ForgetRemoved(); }))
      next_removal = now + kRemovalInterval;
    if (now < next_renewal) continue;
    next_renewal = now + kRenewalInterval;
    const bool posted = tasks_->Post([this] {
      const Status status = KeepOwnIdentity(identities_, *options_.authority, *options_.store);
      if (!status.ok()) LogFailure("renewing the coordinator's certificate failed", status);
    });
    if (!posted) next_renewal = now;
  }
}

void Server::ForgetRemoved() {
  const auto records = options_.store->Members();
  if (!records.ok()) return LogFailure("reading the members failed", records.status());
  for (const MemberRecord& record : *records) {
    if (record.removed) options_.members->Forget(record.node_id);
  }
}

void Server::Shutdown() {
  {
    const MutexLock lock(mu_);
    if (std::exchange(stopping_, true)) return;
  }
  stop_.NotifyAll();
  if (watch_.joinable()) watch_.join();
  // Its calls need the task thread to end.
  if (server_ != nullptr) server_->Shutdown(SystemClock::now());
  tasks_.reset();
  server_.reset();
}

}  // namespace

Result<std::unique_ptr<ClusterServer>> ClusterServer::Start(ClusterOptions options) {
  auto server = std::make_unique<Server>(std::move(options));
  RETURN_IF_ERROR(server->Listen());
  return std::unique_ptr<ClusterServer>(std::move(server));
}

}  // namespace bramble::coordinator
