#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "bramble/v1/run.pb.h"
#include "common/status.h"
#include "worker/link/group.h"
#include "worker/link/stage.h"
#include "worker/store/weight_store.h"

namespace bramble::worker {

class WorkerMetrics;

struct ShardOptions {
  std::uint64_t memory_limit = 0;  // bytes, of the whole worker
  int threads = 1;
  std::string isa;                   // "": the best; as kernels/cpu.h names them
  WorkerMetrics* metrics = nullptr;  // outlives everything; may be left out
};

// A part of a program, ready to run.
struct Shard {
  Compute compute;  // holds everything
  v1::MemoryUse memory;
  std::vector<std::string> variants;  // "matmul/q4_1/avx2"
  std::uint64_t weight_bytes = 0;     // fetched, as encoded
};

// Builds the executor of a checked request whose weights are in the store. On the compute thread.
// `group`: of a slice, else nullptr. `store` is used only during the call.
Result<Shard> BuildShard(const v1::LoadRequest& request, const std::shared_ptr<Group>& group,
                         const ShardOptions& options, WeightStore* store);

}  // namespace bramble::worker
