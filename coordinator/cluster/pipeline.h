#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bramble/v1/program.pb.h"
#include "bramble/v1/run.pb.h"
#include "common/status.h"

namespace grpc {
class ChannelCredentials;
}

namespace bramble::coordinator {

// One worker of a pipeline, and the part of the program that it runs.
struct Stage {
  std::string node_id;
  std::string address;  // host:port of its WorkerService
  v1::Program shard;
  // Workers that run one stage together, each a slice, stand one behind the other: the steps go to
  // the first of them.
  std::uint32_t members = 1;
  std::uint32_t member = 0;
};

struct PipelineOptions {
  std::uint64_t epoch = 0;  // above any that these workers have seen since they came
  v1::Limits limits;
};

struct LoadProgress {
  std::string node_id;
  std::uint64_t bytes_done = 0;  // of its weights: on the worker's disk
  std::uint64_t bytes_total = 0;
};

// What a stage answered when it was ready.
struct LoadedStage {
  std::string node_id;
  v1::MemoryUse memory;
  std::vector<std::string> variants;
};

// Hears what happens on a pipeline. Called on gRPC's threads, possibly several at once; must not
// block.
class PipelineEvents {
 public:
  virtual ~PipelineEvents() = default;
  virtual void OnResult(v1::StepResult result) = 0;
  virtual void OnFailure(v1::StepFailure failure) = 0;
  // The stream to this worker ended; the pipeline is of no more use, and steps in flight have no
  // answer. Once a worker at most. When one worker dies its neighbours report too, for their
  // streams to it ended: Members says who is really gone. A worker that hangs is noticed by Members
  // first; here after about three seconds.
  virtual void OnLost(const std::string& node_id, const Status& why) = 0;
};

// The open streams of one plan: steps enter its first stage, results leave its last. Thread-safe.
class Pipeline {
 public:
  // Loads every stage (in parallel) and opens the streams. Blocks until all are ready; fails with
  // the first reason, which names the node. `credentials` present this coordinator's certificate;
  // each peer must present its node id. `events` must outlive the pipeline, and may be called
  // before Load returns; `progress` may be empty and is called on gRPC's threads, one call at a
  // time.
  static Result<std::unique_ptr<Pipeline>> Load(
      std::vector<Stage> stages, const PipelineOptions& options,
      const std::shared_ptr<grpc::ChannelCredentials>& credentials, PipelineEvents* events,
      const std::function<void(const LoadProgress&)>& progress);

  // Closes.
  virtual ~Pipeline() = default;
  // In the order of `stages`.
  virtual const std::vector<LoadedStage>& loaded() const = 0;
  // Queues the step for the first stage. Never blocks. Steps must be numbered 1, 2, 3, ...
  // The epoch is filled in here. What is queued is bounded by the caller: by the steps that it has
  // in flight.
  virtual void Send(v1::Step step) = 0;
  // Ends the streams and waits for them; the workers drop the epoch. No event is called after it
  // returns. Not from an event.
  virtual void Close() = 0;
};

}  // namespace bramble::coordinator
