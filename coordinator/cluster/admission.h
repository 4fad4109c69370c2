#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <string>

#include "bramble/v1/cluster.pb.h"
#include "common/identity/authority.h"
#include "common/identity/identity.h"
#include "common/mutex.h"
#include "common/status.h"
#include "coordinator/state/store.h"

namespace bramble::coordinator {

// Counts the failed attempts of each host: kBurst at once, then one every kInterval. Thread-safe.
class AttemptLimit {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr int kBurst = 5;
  static constexpr std::chrono::seconds kInterval{2};
  // Hosts remembered; beyond that the one that failed longest ago is forgotten.
  static constexpr std::size_t kMaxHosts = 1024;

  // ResourceExhausted, with the time to wait, when the host has used up its attempts.
  Status Check(const std::string& host, Clock::time_point now);
  void Failed(const std::string& host, Clock::time_point now);

 private:
  Mutex mu_;
  // When the host's failures will all be forgiven; each failure moves it kInterval further.
  std::map<std::string, Clock::time_point> forgiven_at_ GUARDED_BY(mu_);
};

// Who may become a member, and stay one. Both calls use the disk. Thread-safe; both arguments
// outlive it.
class Admission {
 public:
  Admission(const CertificateAuthority& authority, Store& store)
      : authority_(authority), store_(store) {}

  // A certificate for whoever shows a good token. Unauthenticated says what is wrong with it;
  // ResourceExhausted after too many failures from this `host`.
  Result<v1::JoinResponse> Join(const v1::JoinRequest& request, const std::string& host, Time now);
  // A fresh certificate for a member.
  Result<v1::RenewResponse> Renew(const v1::RenewRequest& request, const PeerIdentity& who,
                                  Time now);

 private:
  Result<v1::JoinResponse> Admit(const v1::JoinRequest& request, Time now);

  const CertificateAuthority& authority_;
  Store& store_;
  AttemptLimit limit_;
};

}  // namespace bramble::coordinator
