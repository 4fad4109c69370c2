#include "worker/service/server.h"

#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <chrono>
#include <optional>
#include <utility>

#include "common/channel.h"
#include "common/identity/credentials.h"
#include "worker/link/compute_thread.h"
#include "worker/metrics.h"
#include "worker/service/loader.h"
#include "worker/service/service.h"
#include "worker/service/stage_slot.h"
#include "worker/store/weight_store.h"

namespace bramble::worker {
namespace {

// The longest program or step. gRPC has one limit for all calls of a server, and only members can
// call; what a step may really have, the limits of its plan say (worker/exec).
constexpr std::size_t kLargestMessage = std::size_t{256} << 20;
constexpr std::chrono::seconds kShutdownTime{1};

class Server : public WorkerServer {
 public:
  Server() = default;
  ~Server() override;
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  Status Listen(const WorkerServerOptions& options, std::shared_ptr<grpc::Channel> coordinator);

  const HostPort& address() const override { return address_; }
  std::uint64_t epoch() const override { return slot_.epoch(); }
  StoreUsage store_usage() const override { return store_->Usage(); }
  void Drop(const Status& why) override { slot_.Drop(why); }
  void Compute(const std::function<void()>& job) override { compute_->Run(job); }

 private:
  HostPort address_;
  StageSlot slot_;
  std::unique_ptr<WeightStore> store_;
  std::optional<ComputeThread> compute_;
  std::optional<Loader> loader_;
  std::optional<Service> service_;
  std::unique_ptr<grpc::Server> server_;
};

Status Server::Listen(const WorkerServerOptions& options,
                      std::shared_ptr<grpc::Channel> coordinator) {
  ASSIGN_OR_RETURN(store_, WeightStore::Open(options.weights_folder, options.weights_limit));
  ASSIGN_OR_RETURN(const auto server_credentials,
                   MakeServerCredentials(options.identities, ClientCertificates::kRequired));
  ASSIGN_OR_RETURN(auto channel_credentials, MakeChannelCredentials(options.identities));
  compute_.emplace();
  std::function<void(std::uint64_t)> received;
  if (WorkerMetrics* metrics = options.shard.metrics)
    received = [metrics](std::uint64_t bytes) { metrics->Received(bytes); };
  loader_.emplace(options.shard, store_.get(),
                  WeightFetcher(std::move(coordinator), store_.get(), std::move(received)),
                  &*compute_, &slot_);
  service_.emplace(&*loader_, &slot_, std::move(channel_credentials));
  grpc::ServerBuilder builder;
  ConfigureServer(builder, kLargestMessage);
  int port = 0;
  builder.AddListeningPort(options.listen.ToString(), server_credentials, &port);
  builder.RegisterService(&*service_);
  server_ = builder.BuildAndStart();
  if (server_ == nullptr || port == 0) {
    return Failed("cannot listen on ", options.listen.ToString(),
                  ": is it an address of this machine, and is the port free?");
  }
  address_ = {.host = options.listen.host, .port = static_cast<std::uint16_t>(port)};
  return {};
}

Server::~Server() {
  if (loader_) loader_->Stop();
  slot_.Drop(Unavailable("the worker stops"));
  if (server_ != nullptr) server_->Shutdown(std::chrono::system_clock::now() + kShutdownTime);
  // What a stage holds is freed on the compute thread, which the others use until they have ended.
  loader_.reset();
  compute_.reset();
}

}  // namespace

Result<std::unique_ptr<WorkerServer>> WorkerServer::Start(
    const WorkerServerOptions& options, std::shared_ptr<grpc::Channel> coordinator) {
  auto server = std::make_unique<Server>();
  RETURN_IF_ERROR(server->Listen(options, std::move(coordinator)));
  return std::unique_ptr<WorkerServer>(std::move(server));
}

}  // namespace bramble::worker
