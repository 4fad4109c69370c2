// Engine: what others call. The thread is in cluster_engine_loop.cc.
#include "coordinator/cluster_engine.h"

#include <utility>

#include "common/files.h"
#include "common/log.h"
#include "common/net.h"
#include "common/version.h"
#include "coordinator/state/folders.h"
#include "model/model.h"
#include "proto/program/check.h"

namespace bramble::coordinator {
namespace {

std::string NameOf(const EngineOptions& options) {
  return options.model_name.empty() ? options.model->program().name() : options.model_name;
}

}  // namespace

Result<std::unique_ptr<Engine>> Engine::Start(EngineOptions options) {
  if (!options.model) return Invalid("there is no model to serve");
  RETURN_IF_ERROR(
      program::CheckProgram(options.model->program()).WithContext("the compiled model"));
  RETURN_IF_ERROR(MakeFolders(options.state_dir, 0700));
  ASSIGN_OR_RETURN(CertificateAuthority authority,
                   CertificateAuthority::LoadOrCreate(AuthorityFolder(options.state_dir)));
  ASSIGN_OR_RETURN(std::unique_ptr<Store> store, Store::Open(options.state_dir));
  RETURN_IF_ERROR(store->ClaimCluster(authority.cluster_id()));
  auto engine =
      std::make_unique<ClusterEngine>(std::move(options), std::move(authority), std::move(store));
  RETURN_IF_ERROR(engine->Begin());
  return std::unique_ptr<Engine>(std::move(engine));
}

ClusterEngine::ClusterEngine(EngineOptions options, CertificateAuthority authority,
                             std::unique_ptr<Store> store)
    : options_(std::move(options)),
      name_(NameOf(options_)),
      authority_(std::move(authority)),
      store_(std::move(store)),
      weights_(options_.model),
      metrics_(name_, program().context_length(), kVersion),
      scheduler_({options_.max_queued}, clock_, metrics_) {}

ClusterEngine::~ClusterEngine() { ClusterEngine::Shutdown(); }

const v1::Program& ClusterEngine::program() const { return options_.model->program(); }

Status ClusterEngine::Begin() {
  members_.SetListener([this] {
    const MutexLock lock(mu_);
    mail_.members_changed = true;
    changed_.NotifyAll();
  });
  ClusterOptions cluster;
  ASSIGN_OR_RETURN(cluster.listen, ParseHostPort(options_.listen, "the gRPC address"));
  cluster.identity_folder = IdentityFolder(options_.state_dir);
  cluster.authority = &authority_;
  cluster.store = store_.get();
  cluster.members = &members_;
  cluster.weights = [this](std::string_view sha256) { return weights_.Find(sha256); };
  ASSIGN_OR_RETURN(server_, ClusterServer::Start(std::move(cluster)));
  grpc_address_ = server_->address().ToString();
  SetState(EngineState::kWaiting, Unavailable("no worker is here yet"));
  thread_ = std::thread([this] { Loop(); });
  return {};
}

Status ClusterEngine::WaitReady(std::chrono::steady_clock::time_point deadline) {
  const MutexLock lock(mu_);
  for (;;) {
    if (state_ == EngineState::kReady) return {};
    if (state_ == EngineState::kRefused || state_ == EngineState::kStopping) return why_;
    if (!changed_.WaitUntil(mu_, deadline) && std::chrono::steady_clock::now() >= deadline) {
      return {Code::kDeadlineExceeded,
              std::string("the model is not served in time: ") +
                  (why_.ok() ? EngineStateName(state_) : why_.message().c_str())};
    }
  }
}

ClusterSnapshot ClusterEngine::snapshot() const {
  ClusterSnapshot snapshot;
  snapshot.model = name_;
  snapshot.members = members_.Snapshot();
  snapshot.serve = scheduler_.snapshot();
  snapshot.grpc_address = grpc_address_;
  const MutexLock lock(mu_);
  snapshot.state = state_;
  snapshot.why = why_;
  snapshot.epoch = epoch_;
  snapshot.plan = plan_;
  snapshot.progress = progress_;
  snapshot.loaded = loaded_;
  snapshot.context_length = context_length_;
  return snapshot;
}

Result<std::string> ClusterEngine::CreateJoinToken() {
  NewToken token;
  token.description = "made by the coordinator";
  ASSIGN_OR_RETURN(const JoinToken made, store_->CreateToken(authority_.fingerprint(), token,
                                                             std::chrono::system_clock::now()));
  return made.ToString();
}

std::string ClusterEngine::MetricsText() {
  metrics_.MembersAre(members_.Snapshot());
  return metrics_.Text();
}

void ClusterEngine::Drain(std::chrono::steady_clock::time_point deadline) {
  scheduler_.Refuse(Unavailable("the coordinator is stopping: it takes no new requests"));
  SetState(EngineState::kStopping, Unavailable("the coordinator is stopping"));
  if (scheduler_.WaitIdle(deadline)) return;
  LogWarn("requests are cut short at the end of the drain",
          {{"requests", scheduler_.snapshot().running}});
  scheduler_.CancelAll();
}

void ClusterEngine::Shutdown() {
  std::call_once(shut_down_, [this] {
    const Status why = Unavailable("the coordinator is stopping");
    scheduler_.Refuse(why);
    bool loading = false;
    {
      const MutexLock lock(mu_);
      loading = loading_;
      state_ = EngineState::kStopping;
      why_ = why;
      mail_.stop = true;
      changed_.NotifyAll();
    }
    const auto shut_server = [this] {
      std::call_once(server_down_, [this] {
        if (server_) server_->Shutdown();
      });
    };
    // A thread that waits for workers to fetch their shards is woken by there being nothing to
    // fetch any more.
    if (loading) shut_server();
    if (thread_.joinable()) thread_.join();
    shut_server();
  });
}

}  // namespace bramble::coordinator
