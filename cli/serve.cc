// bramble serve: a coordinator and workers on this machine, with the HTTP side, until it is
// stopped.
#include <chrono>
#include <csignal>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cli/cluster_address.h"
#include "cli/local_cluster.h"
#include "cli/model_store.h"
#include "cli/report.h"
#include "cli/verbs.h"
#include "common/identity/authority.h"
#include "common/process.h"
#include "common/signals.h"
#include "coordinator/state/folders.h"
#include "coordinator/state/store.h"

namespace bramble::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kStartTime(60);
constexpr std::chrono::minutes kLoadTime(60);
constexpr std::chrono::milliseconds kLookInterval(200);

// The processes of one `bramble serve`. Used from one thread.
class LocalService {
 public:
  explicit LocalService(const Settings& settings)
      : settings_(settings), state_(settings.Text("state")) {}

  Status Start() {
    const ModelStore store(ModelStore::DefaultFolder());
    ASSIGN_OR_RETURN(const std::string model, store.Locate(settings_.Text("model")));
    RETURN_IF_ERROR(MakeFolders(state_, 0700));
    RETURN_IF_ERROR(StartCoordinator(model));
    const auto workers = static_cast<std::size_t>(settings_.Integer("workers"));
    for (std::size_t i = 1; i <= workers; ++i)
      RETURN_IF_ERROR(StartWorker("local-" + std::to_string(i)));
    for (const auto& [name, process] : processes_) {
      if (name == "coordinator") continue;
      const auto ready = process->WaitReady(Clock::now() + kStartTime);
      if (!ready.ok())
        return ready.status().WithContext(name + " (its log: " + LogPath(name) + ")");
    }
    return WaitHealthy();
  }

  // Blocks until a stop signal, or until a process has ended by itself.
  Status Watch() {
    while (!WaitForStopSignal(kLookInterval)) {
      for (const auto& [name, process] : processes_) {
        if (process->Running()) continue;
        ASSIGN_OR_RETURN(const ProcessEnd end, process->Wait(Clock::now()));
        return Internal(name, " has ended: ", end.ToString(), " (its log: ", LogPath(name), ")");
      }
    }
    return {};
  }

  void Stop() {
    for (const auto& [name, process] : processes_) process->Signal(SIGTERM);
    for (const auto& [name, process] : processes_) process->Stop();
  }

  const std::string& http_address() const { return http_; }
  const std::string& grpc_address() const { return grpc_; }

 private:
  std::string LogPath(const std::string& name) const { return JoinPath(state_, name + ".log"); }

  Status Spawn(const std::string& name, std::vector<std::string> arguments) {
    ProcessOptions options;
    options.arguments = std::move(arguments);
    options.log_path = LogPath(name);
    ASSIGN_OR_RETURN(std::unique_ptr<Process> process, Process::Start(options));
    processes_.emplace_back(name, std::move(process));
    return {};
  }

  Status StartCoordinator(const std::string& model) {
    std::vector<std::string> arguments = {
        JoinPath(ProgramFolder(), "bramble-coordinator"),
        "--model=" + model,
        "--state=" + JoinPath(state_, "coordinator"),
        "--listen=" + settings_.Text("listen"),
        "--http=" + settings_.Text("http"),
        "--wait-workers=" + std::to_string(settings_.Integer("workers")),
        "--context=" + std::to_string(settings_.Integer("context")),
        "--activations=" + settings_.Text("activations"),
        "--optimize=" + settings_.Text("optimize"),
        "--sharding=" + settings_.Text("sharding")};
    if (settings_.Has("api-key-file"))
      arguments.push_back("--api-key-file=" + settings_.Text("api-key-file"));
    RETURN_IF_ERROR(Spawn("coordinator", std::move(arguments)));
    const auto ready = processes_.back().second->WaitReady(Clock::now() + kLoadTime);
    if (!ready.ok())
      return ready.status().WithContext("the coordinator (its log: " + LogPath("coordinator") +
                                        ")");
    grpc_ = ready->at("grpc");
    http_ = ready->at("http");
    return {};
  }

  Status StartWorker(const std::string& name) {
    const std::string token_file = JoinPath(state_, name + ".token");
    RETURN_IF_ERROR(WriteToken(token_file));
    std::vector<std::string> arguments = {
        JoinPath(ProgramFolder(), "bramble-worker"),
        "--join=" + grpc_,
        "--token-file=" + token_file,
        "--state=" + JoinPath(state_, name),
        "--listen=127.0.0.1:0",
        "--name=" + name,
        "--threads=" + std::to_string(settings_.Integer("threads"))};
    if (settings_.Has("memory"))
      arguments.push_back("--memory=" + std::to_string(settings_.Size("memory")));
    return Spawn(name, std::move(arguments));
  }

  // A worker that has joined before does not look at its token.
  Status WriteToken(const std::string& path) const {
    const std::string coordinator_state = JoinPath(state_, "coordinator");
    ASSIGN_OR_RETURN(const CertificateAuthority authority,
                     CertificateAuthority::Load(coordinator::AuthorityFolder(coordinator_state)));
    ASSIGN_OR_RETURN(const std::unique_ptr<coordinator::Store> store,
                     coordinator::Store::Open(coordinator_state));
    coordinator::NewToken token;
    token.description = "bramble serve";
    ASSIGN_OR_RETURN(const JoinToken made, store->CreateToken(authority.fingerprint(), token,
                                                              std::chrono::system_clock::now()));
    return WriteFileAtomically(path, made.ToString(), 0600);
  }

  Status WaitHealthy() const {
    const HttpClient client({"http://" + http_, "", ""});
    const auto deadline = Clock::now() + kLoadTime;
    std::string why = "it does not answer";
    while (Clock::now() < deadline) {
      const auto reply = client.Get("/health");
      if (reply.ok() && reply->status == 200) return {};
      if (reply.ok()) why = reply->body;
      if (!processes_.front().second->Running())
        return Internal("the coordinator has ended; its log: ", LogPath("coordinator"));
      if (WaitForStopSignal(kLookInterval))
        return Unavailable("stopped before the model was loaded: ", why);
    }
    return Unavailable("the model was not loaded in time: ", why);
  }

  const Settings& settings_;
  std::string state_;
  std::string grpc_;
  std::string http_;
  std::vector<std::pair<std::string, std::unique_ptr<Process>>>
      processes_;  // the coordinator first
};

}  // namespace

int RunServe(const Settings& settings) {
  BlockStopSignals();
  LocalService service(settings);
  Status status = service.Start();
  if (status.ok()) {
    std::printf("ready grpc=%s http=%s\n", service.grpc_address().c_str(),
                service.http_address().c_str());
    std::fflush(stdout);
    std::fprintf(stderr, "The API is at http://%s/v1 ; stop with Ctrl-C.\n",
                 service.http_address().c_str());
    status = service.Watch();
  }
  service.Stop();
  return status.ok() ? 0 : Fail(status);
}

}  // namespace bramble::cli
