#pragma once

#include <memory>

#include "common/identity/node_identity.h"
#include "common/net.h"
#include "common/status.h"
#include "worker/service/shard.h"
#include "worker/store/weight_store.h"

namespace grpc {
class Channel;
}

namespace bramble::worker {

struct WorkerServerOptions {
  HostPort listen;           // port 0: any free one
  IdentityStore identities;  // with a good identity
  std::string weights_folder;
  std::uint64_t weights_limit = 0;  // bytes; 0: what the disk has
  ShardOptions shard;
};

// The worker's gRPC side, with all that computes behind it. Thread-safe.
class WorkerServer {
 public:
  // Listens. `coordinator` is where weights come from; it takes messages of
  // WeightFetcher::kMaxChunk. FailedPrecondition when the address or the folder can't be had.
  static Result<std::unique_ptr<WorkerServer>> Start(const WorkerServerOptions& options,
                                                     std::shared_ptr<grpc::Channel> coordinator);
  // Ends the stage and every call, and waits for them.
  virtual ~WorkerServer() = default;

  // The bound address.
  virtual const HostPort& address() const = 0;
  // Of the stage that is loaded and lives; 0: none.
  virtual std::uint64_t epoch() const = 0;
  // Looks at the disk.
  virtual StoreUsage store_usage() const = 0;
  // Ends the stage, whatever its epoch: the coordinator that made it is gone.
  virtual void Drop(const Status& why) = 0;
  // Runs `job` on the compute thread and waits for it.
  virtual void Compute(const std::function<void()>& job) = 0;
};

}  // namespace bramble::worker
