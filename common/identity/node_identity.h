#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "common/identity/identity.h"
#include "common/status.h"

namespace bramble {

// A new P-256 key and the request for its certificate.
struct KeyAndRequest {
  std::string key_pem;      // PKCS#8; never leaves this machine
  std::string request_der;  // PKCS#10
};

// `name` is only a wish (the authority ignores it).
Result<KeyAndRequest> MakeKeyAndRequest(std::string_view name);

// A member's key, certificate and the root that it trusts, all consistent.
struct NodeIdentity {
  PeerIdentity who;
  std::string key_pem;
  std::string chain_pem;  // leaf, root
  std::string root_pem;
  std::string serial;  // hex
  std::chrono::system_clock::time_point not_before;
  std::chrono::system_clock::time_point not_after;

  // Negative when it has expired.
  double DaysLeft(std::chrono::system_clock::time_point now) const;
  // True once two thirds of the certificate's life are over.
  bool ShouldRenew(std::chrono::system_clock::time_point now) const;
};

// Checks that the key is the leaf's, that the root signed the leaf, and reads who it is. Expiry is
// not checked: an expired identity can still be looked at.
Result<NodeIdentity> MakeNodeIdentity(const std::string& key_pem, const std::string& chain_pem,
                                      const std::string& root_pem);

// Where a node keeps its identity: `folder`/current is a symbolic link to a folder with key.pem
// (0600), chain.pem and root.pem, so that all three change together. One process writes; any
// thread.
class IdentityStore {
 public:
  explicit IdentityStore(std::string folder) : folder_(std::move(folder)) {}

  const std::string& folder() const { return folder_; }
  std::string key_path() const;
  std::string chain_path() const;
  std::string root_path() const;

  // NotFound if there is none yet.
  Result<NodeIdentity> Load() const;
  // Replaces the identity at once, or leaves the old one.
  Status Save(const NodeIdentity& identity) const;

 private:
  std::string folder_;
};

}  // namespace bramble
