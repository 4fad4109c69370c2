#include "common/identity/identity.h"

#include <algorithm>
#include <array>

#include "common/escape.h"

namespace bramble {
namespace {

struct RoleRow {
  Role role;
  const char* name;
};
constexpr std::array<RoleRow, 3> kRoles = {
    {{Role::kCoordinator, "coordinator"}, {Role::kWorker, "worker"}, {Role::kClient, "client"}}};

constexpr std::string_view kScheme = "spiffe://";
constexpr std::string_view kDomainEnd = ".bramble";
constexpr std::size_t kLongestLabel = 63;

bool IsLabelCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
}

bool IsLabel(std::string_view text) {
  return !text.empty() && text.size() <= kLongestLabel && text.front() != '-' &&
         text.back() != '-' && std::all_of(text.begin(), text.end(), IsLabelCharacter);
}

}  // namespace

const char* RoleName(Role role) {
  for (const RoleRow& row : kRoles) {
    if (row.role == role) return row.name;
  }
  return "unknown";
}

Result<Role> ParseRole(std::string_view name) {
  for (const RoleRow& row : kRoles) {
    if (name == row.name) return row.role;
  }
  return Invalid("the role '", Printable(name), "' is none of coordinator, worker, client");
}

Status CheckNodeId(std::string_view node_id) {
  if (IsLabel(node_id)) return {};
  return Invalid("the node id '", Printable(node_id),
                 "' is not 1 to 63 of a-z, 0-9 and '-' with a letter or digit at both ends");
}

std::string NodeIdFrom(std::string_view wished_name) {
  std::string id;
  for (char c : wished_name.substr(0, wished_name.find('.'))) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    if (IsLabelCharacter(c) && c != '-') {
      id += c;
    } else if (!id.empty() && id.back() != '-') {
      id += '-';
    }
    if (id.size() == kLongestLabel) break;
  }
  while (!id.empty() && id.back() == '-') id.pop_back();
  return id.empty() ? "node" : id;
}

std::string SpiffeId(const PeerIdentity& identity) {
  std::string uri(kScheme);
  uri += identity.cluster_id;
  uri += kDomainEnd;
  uri += '/';
  uri += RoleName(identity.role);
  uri += '/';
  uri += identity.node_id;
  return uri;
}

Result<PeerIdentity> ParseSpiffeId(std::string_view uri) {
  const auto wrong = [&] {
    return Unauthenticated("the certificate's name '", Printable(uri),
                           "' is not spiffe://<cluster id>.bramble/<role>/<node id>");
  };
  if (!uri.starts_with(kScheme)) return wrong();
  const std::string_view rest = uri.substr(kScheme.size());
  const std::size_t first = rest.find('/');
  const std::size_t second = first == std::string_view::npos ? first : rest.find('/', first + 1);
  if (second == std::string_view::npos) return wrong();
  std::string_view cluster = rest.substr(0, first);
  if (!cluster.ends_with(kDomainEnd)) return wrong();
  cluster.remove_suffix(kDomainEnd.size());
  const auto role = ParseRole(rest.substr(first + 1, second - first - 1));
  const std::string_view node_id = rest.substr(second + 1);
  if (!role.ok() || !IsLabel(cluster) || !IsLabel(node_id)) return wrong();
  return PeerIdentity{*role, std::string(node_id), std::string(cluster)};
}

}  // namespace bramble
