#pragma once

#include <string>
#include <string_view>

#include "common/status.h"

namespace bramble {

// What a member may do. The name is a segment of its SPIFFE id.
enum class Role { kCoordinator, kWorker, kClient };

const char* RoleName(Role role);  // "coordinator", "worker", "client"
Result<Role> ParseRole(std::string_view name);

// The node id that every coordinator's certificate bears, and that nobody else is given. Whoever
// dials a coordinator, at whatever address, expects this name.
inline constexpr const char* kCoordinatorNodeId = "coordinator";

// Who somebody is, as its certificate says.
struct PeerIdentity {
  Role role = Role::kClient;
  std::string node_id;
  std::string cluster_id;

  friend bool operator==(const PeerIdentity&, const PeerIdentity&) = default;
};

// 1 to 63 of a-z 0-9 and '-', neither first nor last a '-': a DNS label, since the id is a DNS name
// in the certificate.
Status CheckNodeId(std::string_view node_id);
// "My Pi.local" -> "my-pi": the nearest valid node id; "node" if nothing is left.
std::string NodeIdFrom(std::string_view wished_name);

// "spiffe://<cluster id>.bramble/<role>/<node id>".
std::string SpiffeId(const PeerIdentity& identity);
// The reverse, strictly. Unauthenticated with the reason.
Result<PeerIdentity> ParseSpiffeId(std::string_view uri);

}  // namespace bramble
