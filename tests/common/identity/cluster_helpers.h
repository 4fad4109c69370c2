#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>

#include "common/files.h"
#include "common/identity/authority.h"
#include "common/identity/credentials.h"
#include "common/identity/node_identity.h"

namespace grpc {
class Server;
}

namespace bramble::testing {

// A private authority and its members, in a temporary folder.
class TestCluster {
 public:
  TestCluster();

  const CertificateAuthority& authority() const { return *authority_; }
  // A member as Join would make it.
  NodeIdentity MakeMember(Role role, const std::string& node_id,
                          const IssueOptions& options = {}) const;
  // The same, kept in a folder of its own.
  IdentityStore AddMember(Role role, const std::string& node_id,
                          const IssueOptions& options = {}) const;
  // A member whose certificate has these URI names instead of the one that belongs there.
  NodeIdentity MakeMemberWithNames(const std::string& subject_alternative_names) const;
  std::string Path(const std::string& name) const { return JoinPath(folder_.path(), name); }

 private:
  TemporaryFolder folder_;
  std::unique_ptr<CertificateAuthority> authority_;
};

// Yesterday's certificate: expired for a day.
IssueOptions Expired();

// A gRPC server on a free loopback port that answers every call with who called ("worker/pi-1 of
// <cluster id>"), or with the status that RequirePeer(roles) gives.
class WhoServer {
 public:
  WhoServer(const std::shared_ptr<grpc::ServerCredentials>& credentials,
            std::initializer_list<Role> roles);
  ~WhoServer();
  WhoServer(const WhoServer&) = delete;
  WhoServer& operator=(const WhoServer&) = delete;

  int port() const { return port_; }
  // Asks over a new connection; `expected_node` is the node id that the server must prove.
  Result<std::string> Ask(const std::shared_ptr<grpc::ChannelCredentials>& credentials,
                          const std::string& expected_node) const;

 private:
  class Service;
  std::unique_ptr<Service> service_;
  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;
};

// Credentials of an identity that the library would refuse to use (expired, odd names).
std::shared_ptr<grpc::ChannelCredentials> UncheckedChannelCredentials(const NodeIdentity& identity);
std::shared_ptr<grpc::ServerCredentials> UncheckedServerCredentials(const NodeIdentity& identity);

}  // namespace bramble::testing
