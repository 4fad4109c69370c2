#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "common/identity/node_identity.h"
#include "common/net.h"
#include "common/status.h"
#include "worker/health.h"
#include "worker/metrics.h"
#include "worker/metrics_listener.h"
#include "worker/service/server.h"

namespace bramble::worker {

// All that monitoring asks of a worker, in one place. Outlives the server. Thread-safe.
class Monitoring {
 public:
  Monitoring();

  WorkerMetrics& metrics() { return metrics_; }
  v1::NodeHealth Health() { return ToProto(health_.Now()); }
  // Whether the coordinator hears us.
  void SetHeard(bool heard);

  // Serves metrics until the result goes, which must be before `server`.
  Result<std::unique_ptr<MetricsListener>> Listen(const HostPort& address,
                                                  const IdentityStore& identities,
                                                  const WorkerServer& server,
                                                  std::uint64_t memory_limit);

 private:
  WorkerMetrics metrics_;
  HealthMonitor health_;
  std::atomic<bool> heard_{false};
};

}  // namespace bramble::worker
