#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bramble/v1/run.pb.h"
#include "common/mutex.h"
#include "common/status.h"
#include "worker/link/compute_thread.h"

namespace bramble::worker {

class Group;

// A step on its way through this worker.
struct Work {
  // As it came, and as it leaves for the next stage: the step, the values that cross, the stages'
  // times, or the failure.
  v1::ForwardRequest message;
  // As it leaves the last stage.
  std::vector<v1::OutputResult> outputs;
  std::chrono::steady_clock::time_point arrived;
};

// Makes a step a failed one: it keeps its number and its closed sequences, so that it passes
// through all stages. `sequence`: the one that is at fault, if the request and not the cluster is.
void Fail(Work& work, const Status& why, std::optional<std::uint32_t> sequence = std::nullopt);

// Computes a step in place: takes the activations that came, puts those that leave, or the outputs.
// A failed step is passed too, for its closed sequences. On the compute thread.
using Compute = std::function<void(Work&)>;

// A stream of a stage; ended with it.
class Link {
 public:
  virtual ~Link() = default;
  // Any thread; more than once; the first reason counts.
  virtual void Close(const Status& why) = 0;
};

// Where steps come from.
class Inlet {
 public:
  virtual ~Inlet() = default;
  // The step of this number has left the queue, and the stage. On the compute thread.
  virtual void Taken(std::uint64_t number) = 0;
};

// Where steps go.
class Outlet {
 public:
  virtual ~Outlet() = default;
  // Never blocks; calls Stage::Sent when the step has left. On the compute thread.
  virtual void Send(Work work) = 0;
  // Steps that may wait here; with so many, no further one is computed.
  virtual std::size_t depth() const = 0;
};

struct StageOptions {
  std::uint64_t epoch = 0;
  bool first = false;
  bool last = false;
  std::string previous = {};  // node id; not of the first
  v1::Peer next = {};         // not of the last
  // The workers that run the stage together; none: this one alone does.
  std::shared_ptr<Group> group = {};
  // Steps that may wait here to be computed.
  std::uint32_t window = 4;
};

// This worker's part of a plan: takes steps in the order of their numbers, has them computed,
// passes them on. A step that fails goes on as a failure. Its queues are bounded: it computes
// nothing while its outlet is full, and takes nothing more than `window` steps before it computes.
//
// Once any of its streams ends, all of it ends: the coordinator makes a new plan.
// Thread-safe. Calls out with no lock held; streams may call in with their own locks held, except
// to End.
class Stage : public std::enable_shared_from_this<Stage> {
 public:
  // `thread` outlives it.
  Stage(StageOptions options, ComputeThread* thread, Compute compute);

  const StageOptions& options() const { return options_; }

  // Each once, but Attach. AlreadyExists when there is one; the reason of the end when it has
  // ended. Claim: for the coordinator's stream, which then connects everything.
  Status Claim();
  Status Attach(const std::shared_ptr<Link>& link);
  Status SetInlet(const std::shared_ptr<Inlet>& inlet);
  Status SetOutlet(const std::shared_ptr<Outlet>& outlet);

  // A step has arrived. InvalidArgument: not the next number; FailedPrecondition: another epoch;
  // ResourceExhausted: more than `window` steps wait.
  Status Take(v1::ForwardRequest message);
  // A step has left the outlet.
  void Sent();
  // Closes all streams and frees what `compute` holds, on the compute thread. The first reason
  // counts.
  void End(const Status& why);
  bool ended() const;

 private:
  void Schedule() REQUIRES(mu_);
  // On the compute thread.
  void RunDue();
  bool Next(Work& work, std::shared_ptr<Inlet>& inlet, std::shared_ptr<Outlet>& outlet);

  const StageOptions options_;
  ComputeThread* const thread_;
  Compute compute_;  // the compute thread's

  mutable Mutex mu_;
  std::vector<std::shared_ptr<Link>> links_ GUARDED_BY(mu_);
  std::shared_ptr<Inlet> inlet_ GUARDED_BY(mu_);
  std::shared_ptr<Outlet> outlet_ GUARDED_BY(mu_);
  std::deque<Work> inbox_ GUARDED_BY(mu_);
  std::uint64_t due_ GUARDED_BY(mu_) = 1;  // the number that must come next
  std::size_t in_outlet_ GUARDED_BY(mu_) = 0;
  bool scheduled_ GUARDED_BY(mu_) = false;  // a job is posted or runs
  bool claimed_ GUARDED_BY(mu_) = false;
  std::optional<Status> end_ GUARDED_BY(mu_);
};

}  // namespace bramble::worker
