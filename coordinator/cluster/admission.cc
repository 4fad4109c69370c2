#include "coordinator/cluster/admission.h"

#include <algorithm>
#include <optional>

#include "common/identity/join_token.h"
#include "common/log.h"

namespace bramble::coordinator {
namespace {

// The longest name worth reading; a node id has at most 63 characters.
constexpr std::size_t kMaxWishedName = 256;
// Names that others may take between our question and our entry.
constexpr int kNameAttempts = 8;

Status Unauthenticated(std::string message) { return {Code::kUnauthenticated, std::move(message)}; }

}  // namespace

Status AttemptLimit::Check(const std::string& host, Clock::time_point now) {
  const MutexLock lock(mu_);
  const auto found = forgiven_at_.find(host);
  if (found == forgiven_at_.end()) return {};
  const auto wait = found->second - now - (kBurst - 1) * kInterval;
  if (wait <= Clock::duration::zero()) return {};
  return Exhausted("too many failed joins from ", host, ": try again in ",
                   std::chrono::ceil<std::chrono::seconds>(wait).count(), " s");
}

void AttemptLimit::Failed(const std::string& host, Clock::time_point now) {
  const MutexLock lock(mu_);
  if (!forgiven_at_.contains(host) && forgiven_at_.size() >= kMaxHosts) {
    forgiven_at_.erase(
        std::min_element(forgiven_at_.begin(), forgiven_at_.end(),
                         [](const auto& a, const auto& b) { return a.second < b.second; }));
  }
  Clock::time_point& forgiven_at = forgiven_at_[host];
  forgiven_at = std::max(forgiven_at, now) + kInterval;
}

Result<v1::JoinResponse> Admission::Join(const v1::JoinRequest& request, const std::string& host,
                                         Time now) {
  RETURN_IF_ERROR(limit_.Check(host, AttemptLimit::Clock::now()));
  auto response = Admit(request, now);
  if (!response.ok()) {
    limit_.Failed(host, AttemptLimit::Clock::now());
    LogFailure("join refused", response.status(), {{"host", host}});
  } else {
    LogInfo("node joined", {{"node", response->node_id()}, {"host", host}});
  }
  return response;
}

Result<v1::JoinResponse> Admission::Admit(const v1::JoinRequest& request, Time now) {
  ASSIGN_OR_RETURN(const JoinToken token, ParseJoinToken(request.token()));
  if (token.fingerprint != authority_.fingerprint()) {
    return Unauthenticated(
        "the token is another cluster's: make one here with `bramble token create`");
  }
  ASSIGN_OR_RETURN(const TokenRecord record, store_.CheckToken(token, now));
  if (record.role == Role::kCoordinator) {
    return Unauthenticated("no token makes a coordinator");
  }
  if (request.wished_name().size() > kMaxWishedName) {
    return Invalid("wished_name has ", request.wished_name().size(), " bytes, at most ",
                   kMaxWishedName, " are allowed");
  }
  std::string wished = NodeIdFrom(request.wished_name());
  if (wished == kCoordinatorNodeId) wished = "node";
  Status taken;
  for (int attempt = 0; attempt < kNameAttempts; ++attempt) {
    ASSIGN_OR_RETURN(const std::string node_id, store_.FreeNodeId(wished));
    ASSIGN_OR_RETURN(
        const IssuedCertificate certificate,
        authority_.Issue(request.certificate_request(), record.role, node_id, {.now = now}));
    MemberRecord member;
    member.node_id = node_id;
    member.role = record.role;
    member.joined = now;
    member.certificate_serial = certificate.serial;
    member.certificate_expires = certificate.not_after;
    taken = store_.Admit(token, member, now);
    if (taken.code() == Code::kAlreadyExists) continue;
    RETURN_IF_ERROR(taken);
    v1::JoinResponse response;
    response.set_node_id(node_id);
    response.set_certificate_chain_pem(certificate.chain_pem);
    response.set_root_pem(authority_.root_pem());
    response.set_cluster_id(authority_.cluster_id());
    return response;
  }
  return taken;
}

Result<v1::RenewResponse> Admission::Renew(const v1::RenewRequest& request, const PeerIdentity& who,
                                           Time now) {
  RETURN_IF_ERROR(store_.CheckMember(who));
  ASSIGN_OR_RETURN(
      const IssuedCertificate certificate,
      authority_.Issue(request.certificate_request(), who.role, who.node_id, {.now = now}));
  RETURN_IF_ERROR(store_.RenewMember(who.node_id, certificate.serial, certificate.not_after));
  v1::RenewResponse response;
  response.set_certificate_chain_pem(certificate.chain_pem);
  response.set_root_pem(authority_.root_pem());
  LogInfo("certificate renewed", {{"node", who.node_id}, {"serial", certificate.serial}});
  return response;
}

}  // namespace bramble::coordinator
