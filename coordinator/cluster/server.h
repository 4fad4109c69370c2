#pragma once

#include <memory>
#include <string>

#include "common/identity/authority.h"
#include "common/identity/node_identity.h"
#include "common/net.h"
#include "common/status.h"
#include "coordinator/cluster/fetch.h"
#include "coordinator/cluster/members.h"
#include "coordinator/state/store.h"

namespace grpc {
class ChannelCredentials;
}

namespace bramble::coordinator {

// All of these outlive the server.
struct ClusterOptions {
  HostPort listen;              // port 0: any free one
  std::string identity_folder;  // where the coordinator keeps its own key and certificate
  const CertificateAuthority* authority = nullptr;
  Store* store = nullptr;
  Members* members = nullptr;
  WeightSource weights;
};

// The coordinator's gRPC side: lets workers join, hears whether they are here, and gives out
// weights. Thread-safe.
class ClusterServer {
 public:
  // Gives the coordinator a certificate if it has none that is good (and renews it in time from
  // then on), and listens. FailedPrecondition when the address can't be had.
  static Result<std::unique_ptr<ClusterServer>> Start(ClusterOptions options);
  // Shuts down.
  virtual ~ClusterServer() = default;

  // The bound address.
  virtual const HostPort& address() const = 0;
  // Presents the coordinator's certificate: for Pipeline::Load. Usable longer than the server.
  virtual std::shared_ptr<grpc::ChannelCredentials> credentials() const = 0;
  // Ends every call and waits for them; everybody is then gone. Once, or by the destructor.
  virtual void Shutdown() = 0;
};

}  // namespace bramble::coordinator
