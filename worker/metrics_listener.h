#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "common/identity/node_identity.h"
#include "common/net.h"
#include "common/status.h"

namespace bramble::worker {

struct MetricsOptions {
  HostPort listen;           // port 0: any free one
  IdentityStore identities;  // off loopback: TLS with this identity, followed when it is renewed
  // Called on the listener's thread, one at a time.
  std::function<std::string()> metrics;  // Prometheus text, version 0.0.4
  std::function<bool()> healthy;
};

// What a worker says to monitoring: GET /metrics and GET /health (200 while the coordinator hears
// it, else 503; nothing else is told). On a loopback address by plain HTTP. On any other by TLS
// only, and /metrics only to who shows a certificate of this cluster; /health to anybody, since
// Kubernetes has none to show. One thread for all connections, none of which can make it wait: each
// has kTime for everything, a request kLongestHead bytes, and of kConnections the oldest makes
// room.
class MetricsListener {
 public:
  static constexpr std::chrono::milliseconds kTime{5000};
  static constexpr std::size_t kLongestHead = 8192;
  static constexpr std::size_t kConnections = 32;

  // Listens. FailedPrecondition when the address can't be had.
  static Result<std::unique_ptr<MetricsListener>> Start(MetricsOptions options);
  // Closes every connection and waits for the thread.
  virtual ~MetricsListener() = default;

  // The bound address.
  virtual const HostPort& address() const = 0;
  virtual bool tls() const = 0;
};

}  // namespace bramble::worker
