#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/status.h"
#include "coordinator/cluster/members.h"
#include "coordinator/cluster/pipeline.h"
#include "coordinator/plan/plan.h"
#include "coordinator/serve/generator.h"
#include "coordinator/serve/serve_plan.h"

namespace bramble::model {
class Model;
}

namespace bramble::coordinator {

class Metrics;

struct EngineOptions {
  std::string listen = "127.0.0.1:0";  // of the gRPC service that workers join; port 0: any
  std::string state_dir;               // certificates, tokens, members, plans
  std::shared_ptr<const model::Model> model;
  std::string model_name;          // as clients and metrics call it; empty: the program's name
  std::uint32_t wait_workers = 1;  // no plan is made before this many workers are here
  Objective objective = Objective::kThroughput;
  Sharding sharding = Sharding::kAuto;
  PlanLimits limits;
  std::uint32_t max_queued = 256;  // requests that wait; more are refused
};

enum class EngineState {
  kWaiting,   // for workers
  kLoading,   // a plan is made, workers fetch their shards
  kReady,     // serving
  kRefused,   // those present can't serve the model; `why` has the reason
  kStopping,  // refuses new requests
};
const char* EngineStateName(EngineState state);  // "waiting", "loading", ...

// Everything about the cluster that people and programs ask for, at one moment.
struct ClusterSnapshot {
  EngineState state = EngineState::kWaiting;
  Status why;         // with kWaiting and kRefused: what is missing; else what went wrong last, if
                      // anything did
  std::string model;  // the served name
  std::uint64_t epoch = 0;
  std::vector<Member> members;
  std::optional<Plan> plan;            // the one loading or serving
  std::vector<LoadProgress> progress;  // of the stages of `plan`, while loading
  std::vector<LoadedStage> loaded;     // of the stages of `plan`, once ready
  std::uint32_t context_length = 0;  // longest sequence (prompt and answer) that can be served now
  ServeSnapshot serve;
  std::string grpc_address;
};

// {"state", "why", "model", "epoch", "members": [...], "plan", "progress", "loaded",
// "context_length", "serve"}.
std::string ClusterJson(const ClusterSnapshot& snapshot);
// Its members again, as far as a planner needs to know them. InvalidArgument where it is something
// else.
Result<std::vector<Member>> MembersOf(const std::string& cluster_json);

// Where Prometheus finds the workers' metrics, as its http_sd wants it: a JSON list of targets with
// labels, one for each member that serves any, whether it is here now or not.
std::string TargetsJson(const std::vector<Member>& members);

// A coordinator without its HTTP side: lets workers in, plans, loads, serves, and plans again when
// they come and go. Thread-safe.
class Engine {
 public:
  // Begins to listen. Workers may join at once; the plan follows when enough of them are here.
  // Fails when the address can't be bound or the state folder can't be used.
  static Result<std::unique_ptr<Engine>> Start(EngineOptions options);

  virtual ~Engine() = default;

  // Blocks until the model is served. Fails with the planner's or a worker's refusal as soon as
  // there is one, or with DeadlineExceeded, which says what is missing.
  virtual Status WaitReady(std::chrono::steady_clock::time_point deadline) = 0;

  // Valid as long as the engine; its Submit answers Unavailable while no plan is loaded.
  virtual Generator& generator() = 0;

  virtual ClusterSnapshot snapshot() const = 0;

  // A fresh token that lets one worker or several join; secret.
  virtual Result<std::string> CreateJoinToken() = 0;

  // The bound host:port of the gRPC service.
  virtual const std::string& grpc_address() const = 0;

  // For more metrics of the same process; valid as long as the engine.
  virtual Metrics& metrics() = 0;
  // The page that Prometheus reads (text/plain; version=0.0.4).
  virtual std::string MetricsText() = 0;

  // Refuses new requests and waits until those running have ended; at the deadline the rest is
  // cancelled.
  virtual void Drain(std::chrono::steady_clock::time_point deadline) = 0;

  // Ends every request, the pipeline and the service, and waits for all of it. The destructor calls
  // it.
  virtual void Shutdown() = 0;
};

}  // namespace bramble::coordinator
