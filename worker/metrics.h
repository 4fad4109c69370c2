#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "bramble/v1/run.pb.h"
#include "common/identity/node_identity.h"
#include "worker/health.h"
#include "worker/store/weight_store.h"

namespace bramble::worker {

// What one step was to this stage.
struct StepBooks {
  std::uint64_t rows = 0;  // 0: it only closed sequences
  double wait_seconds = 0;
  double compute_seconds = 0;
  std::uint64_t bytes_in = 0;  // of activations
  std::uint64_t bytes_out = 0;
  bool failed = false;
  std::uint32_t pages_in_use = 0;
};

// All metrics of a worker, one family a fact; names begin with bramble_, or are those that every
// Prometheus client has (process_*). Thread-safe. Labels are few: never a request or a sequence.
class WorkerMetrics {
 public:
  explicit WorkerMetrics(const std::string& version);
  ~WorkerMetrics();
  WorkerMetrics(const WorkerMetrics&) = delete;
  WorkerMetrics& operator=(const WorkerMetrics&) = delete;

  // Prometheus text, version 0.0.4, with this process's own use of the machine.
  std::string Text() const;

  // Of the stage. Loaded comes before the stage can be found: Node shows what it holds.
  void Loaded(std::uint64_t epoch, const v1::MemoryUse& memory, std::uint32_t pages);
  void StepDone(const StepBooks& step);
  void Received(std::uint64_t weight_bytes);  // from the coordinator
  // Of the node. `epoch` 0: no stage is here.
  void Link(bool coordinator_hears_us);
  void Node(std::uint64_t epoch, std::uint64_t memory_limit, const StoreUsage& store);
  void Board(const DeviceHealth& health, std::uint64_t memory_total,
             std::uint64_t memory_available);
  void Certificate(const NodeIdentity& identity);

 private:
  struct Families;
  std::unique_ptr<Families> families_;
};

}  // namespace bramble::worker
