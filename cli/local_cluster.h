#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/files.h"
#include "common/process.h"
#include "common/settings.h"
#include "common/status.h"
#include "coordinator/engine.h"
#include "model/model.h"

namespace bramble::cli {

struct LocalClusterOptions {
  std::string model_path;
  model::CompileOptions compile;
  coordinator::Objective objective = coordinator::Objective::kThroughput;
  coordinator::Sharding sharding = coordinator::Sharding::kAuto;
  std::uint32_t workers = 1;
  std::uint32_t threads = 0;       // of each worker; 0: all cores
  std::uint64_t memory_bytes = 0;  // that each worker may use; 0: as much as the machine has
  std::uint32_t context = 0;       // positions of one sequence; 0: the coordinator's choice
  std::uint32_t max_outputs = 16;  // rows of a step that may ask for logits
};

// Settings that every verb with a local cluster has: model, workers, threads, memory, context,
// activations, optimize, sharding. InvalidArgument names what does not fit together; the model is
// looked up in the store.
Result<LocalClusterOptions> LocalClusterFrom(const Settings& settings);

// A whole cluster for the life of one command: an engine in this process and worker processes
// beside it, in a temporary folder, over mutual TLS on loopback, exactly as several machines would
// be. Used from one thread.
class LocalCluster {
 public:
  // Blocks until the model is served; fails with the first reason. `say` gets a line for people at
  // each step.
  static Result<std::unique_ptr<LocalCluster>> Start(
      const LocalClusterOptions& options, const std::function<void(const std::string&)>& say);
  // Ends the workers and waits for them.
  ~LocalCluster();
  LocalCluster(const LocalCluster&) = delete;
  LocalCluster& operator=(const LocalCluster&) = delete;

  coordinator::Engine& engine() { return *engine_; }
  const model::Model& model() const { return *model_; }

 private:
  LocalCluster(TemporaryFolder folder, std::shared_ptr<const model::Model> model);
  Status StartWorker(const LocalClusterOptions& options, std::uint32_t index);
  // The end of a worker's log, for a message.
  std::string LogTail(std::uint32_t index) const;

  TemporaryFolder folder_;
  std::shared_ptr<const model::Model> model_;
  std::unique_ptr<coordinator::Engine> engine_;
  std::vector<std::unique_ptr<Process>> workers_;
};

// The folder of this program's own file, where the daemons lie too.
std::string ProgramFolder();

}  // namespace bramble::cli
