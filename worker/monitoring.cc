#include "worker/monitoring.h"

#include <string>

#include "common/version.h"
#include "worker/facts.h"

namespace bramble::worker {

Monitoring::Monitoring() : metrics_(kVersion) {}

void Monitoring::SetHeard(bool heard) {
  heard_ = heard;
  metrics_.Link(heard);
}

Result<std::unique_ptr<MetricsListener>> Monitoring::Listen(const HostPort& address,
                                                            const IdentityStore& identities,
                                                            const WorkerServer& server,
                                                            std::uint64_t memory_limit) {
  MetricsOptions options{
      .listen = address, .identities = identities, .metrics = {}, .healthy = [this] {
        return heard_.load();
      }};
  options.metrics = [this, identities, &server, memory_limit] {
    metrics_.Node(server.epoch(), memory_limit, server.store_usage());
    metrics_.Board(health_.Now(), TotalMemory(), AvailableMemory());
    const auto identity = identities.Load();
    if (identity.ok()) metrics_.Certificate(*identity);
    return metrics_.Text();
  };
  return MetricsListener::Start(std::move(options));
}

}  // namespace bramble::worker
