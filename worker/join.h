#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "common/identity/node_identity.h"
#include "common/mutex.h"
#include "common/net.h"
#include "common/status.h"

namespace grpc {
class Channel;
}

namespace bramble::worker {

struct JoinOptions {
  HostPort coordinator;
  std::string token;        // empty: none
  std::string wished_name;  // the coordinator may give another
  // How long an absent coordinator is waited for.
  std::chrono::steady_clock::time_point deadline;
  // Waits between two attempts; true: give up.
  std::function<bool()> pause;
};

// The identity that this node has, or the one that the token gets it, which is then stored. An
// identity that has expired counts as none. FailedPrecondition: there is no identity and no token;
// Unauthenticated or PermissionDenied: the coordinator, or we, refused.
Result<NodeIdentity> JoinCluster(const IdentityStore& store, const JoinOptions& options);

// Renews the identity in `store` over `channel` when two thirds of its life are over; looks every
// minute. Lives as long as the object. Credentials made from the store follow by themselves.
class Renewal {
 public:
  Renewal(IdentityStore store, std::shared_ptr<grpc::Channel> channel);
  ~Renewal();
  Renewal(const Renewal&) = delete;
  Renewal& operator=(const Renewal&) = delete;

 private:
  void Loop();

  const IdentityStore store_;
  const std::shared_ptr<grpc::Channel> channel_;
  Mutex mu_;
  Condition changed_;
  bool stopping_ GUARDED_BY(mu_) = false;
  std::thread thread_;  // the last: it uses the others
};

// Asks for a fresh certificate now, and stores it.
Status RenewIdentity(const IdentityStore& store, const std::shared_ptr<grpc::Channel>& channel);

}  // namespace bramble::worker
