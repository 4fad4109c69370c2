#include "cli/local_cluster.h"

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <utility>

#include "cli/model_store.h"

namespace bramble::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds kWorkerStart(60);
constexpr std::chrono::minutes kLoadTime(60);
constexpr std::size_t kLogTailBytes = 2000;

std::string WorkerName(std::uint32_t index) { return "local-" + std::to_string(index + 1); }

}  // namespace

std::string ProgramFolder() {
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  return error ? "." : self.parent_path().string();
}

Result<LocalClusterOptions> LocalClusterFrom(const Settings& settings) {
  LocalClusterOptions options;
  const ModelStore store(ModelStore::DefaultFolder());
  ASSIGN_OR_RETURN(options.model_path, store.Locate(settings.Text("model")));
  options.workers = static_cast<std::uint32_t>(settings.Integer("workers"));
  options.threads = static_cast<std::uint32_t>(settings.Integer("threads"));
  options.context = static_cast<std::uint32_t>(settings.Integer("context"));
  if (settings.Has("memory")) options.memory_bytes = settings.Size("memory");
  if (settings.Text("activations") == "f32") options.compile = model::TrueMode();
  ASSIGN_OR_RETURN(options.objective, coordinator::ParseObjective(settings.Text("optimize")));
  ASSIGN_OR_RETURN(options.sharding, coordinator::ParseSharding(settings.Text("sharding")));
  return options;
}

LocalCluster::LocalCluster(TemporaryFolder folder, std::shared_ptr<const model::Model> model)
    : folder_(std::move(folder)), model_(std::move(model)) {}

LocalCluster::~LocalCluster() {
  if (engine_ != nullptr) engine_->Shutdown();
  for (const auto& worker : workers_) worker->Signal(SIGTERM);
  for (const auto& worker : workers_) worker->Stop();
}

Result<std::unique_ptr<LocalCluster>> LocalCluster::Start(
    const LocalClusterOptions& options, const std::function<void(const std::string&)>& say) {
  say("reading " + options.model_path);
  ASSIGN_OR_RETURN(std::shared_ptr<const model::Model> model,
                   model::Model::Open(options.model_path, options.compile));
  ASSIGN_OR_RETURN(TemporaryFolder folder, TemporaryFolder::Make());
  std::unique_ptr<LocalCluster> cluster(new LocalCluster(std::move(folder), std::move(model)));

  coordinator::EngineOptions engine;
  engine.state_dir = JoinPath(cluster->folder_.path(), "coordinator");
  engine.model = cluster->model_;
  engine.wait_workers = options.workers;
  engine.objective = options.objective;
  engine.sharding = options.sharding;
  engine.limits.context = options.context;
  engine.limits.max_outputs = options.max_outputs;
  ASSIGN_OR_RETURN(cluster->engine_, coordinator::Engine::Start(std::move(engine)));

  say("starting " + std::to_string(options.workers) +
      (options.workers == 1 ? " worker" : " workers"));
  for (std::uint32_t i = 0; i < options.workers; ++i)
    RETURN_IF_ERROR(cluster->StartWorker(options, i));
  for (std::uint32_t i = 0; i < options.workers; ++i) {
    const auto ready =
        cluster->workers_[i]->WaitReady(std::chrono::steady_clock::now() + kWorkerStart);
    if (!ready.ok())
      return ready.status().WithContext("worker " + WorkerName(i) + cluster->LogTail(i));
  }
  say("loading the model");
  RETURN_IF_ERROR(cluster->engine_->WaitReady(std::chrono::steady_clock::now() + kLoadTime));
  return cluster;
}

Status LocalCluster::StartWorker(const LocalClusterOptions& options, std::uint32_t index) {
  const std::string state = JoinPath(folder_.path(), WorkerName(index));
  const std::string token_file = JoinPath(folder_.path(), WorkerName(index) + ".token");
  ASSIGN_OR_RETURN(const std::string token, engine_->CreateJoinToken());
  RETURN_IF_ERROR(WriteFileAtomically(token_file, token, 0600));
  ProcessOptions process;
  process.arguments = {JoinPath(ProgramFolder(), "bramble-worker"),
                       "--join=" + engine_->grpc_address(),
                       "--token-file=" + token_file,
                       "--state=" + state,
                       "--listen=127.0.0.1:0",
                       "--name=" + WorkerName(index)};
  if (options.threads > 0)
    process.arguments.push_back("--threads=" + std::to_string(options.threads));
  if (options.memory_bytes > 0)
    process.arguments.push_back("--memory=" + std::to_string(options.memory_bytes));
  process.log_path = state + ".log";
  ASSIGN_OR_RETURN(std::unique_ptr<Process> worker, Process::Start(process));
  workers_.push_back(std::move(worker));
  return {};
}

std::string LocalCluster::LogTail(std::uint32_t index) const {
  std::ifstream file(JoinPath(folder_.path(), WorkerName(index) + ".log"));
  std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (text.size() > kLogTailBytes) text.erase(0, text.size() - kLogTailBytes);
  return text.empty() ? "" : ", whose log ends:\n" + text;
}

}  // namespace bramble::cli
