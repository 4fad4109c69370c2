#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/identity/identity.h"
#include "common/identity/join_token.h"
#include "common/status.h"

namespace bramble::coordinator {

using Time = std::chrono::system_clock::time_point;

// A join token as the cluster knows it: never its secret.
struct TokenRecord {
  std::string id;
  Role role = Role::kWorker;
  std::int64_t uses_left = 0;
  Time created;
  std::optional<Time> expires;  // none: never
  std::string description;
};

struct NewToken {
  Role role = Role::kWorker;
  std::int64_t uses = 1;
  std::optional<std::chrono::seconds> life = std::chrono::hours(24);  // none: for ever
  std::string description;
};

struct MemberRecord {
  std::string node_id;
  Role role = Role::kWorker;
  Time joined;
  std::string certificate_serial;  // of the newest one
  Time certificate_expires;
  bool removed = false;  // denied from now on; the id is not given again
};

struct PlanRecord {
  std::uint64_t epoch = 0;
  std::string model;
  std::string json;
  Time made;
};

// What a restart keeps: a SQLite database (WAL) in the coordinator's state folder. The daemon and
// the command line on the same host may use it at once; a writer waits up to five seconds for
// another. Thread-safe. Errors name the file.
class Store {
 public:
  // Opens `folder`/bramble.db, makes it if missing (mode 0600), and brings an older form to the
  // present one. DataLoss if it is not a sound database, FailedPrecondition if a newer version of
  // Bramble wrote it.
  static Result<std::unique_ptr<Store>> Open(const std::string& folder);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  // Remembers the cluster's id the first time; FailedPrecondition if the database belongs to
  // another one.
  Status ClaimCluster(const std::string& cluster_id);
  Result<std::string> ClusterId();  // NotFound before the first claim

  // A new token for the root with this fingerprint. The secret is in the result only.
  Result<JoinToken> CreateToken(const std::string& fingerprint, const NewToken& token, Time now);
  Result<std::vector<TokenRecord>> Tokens();
  Status DeleteToken(const std::string& id);  // NotFound
  // The token's record if it may be used now. Unauthenticated, with the reason (unknown or wrong
  // secret: the same words; expired; used up).
  Result<TokenRecord> CheckToken(const JoinToken& token, Time now);
  // Uses the token once and takes the member in, both or neither. As CheckToken; AlreadyExists if
  // the node id is taken.
  Status Admit(const JoinToken& token, const MemberRecord& member, Time now);

  // `wished` if no member has or had it, else the first free of wished-2, wished-3, ... `wished`
  // must be a node id.
  Result<std::string> FreeNodeId(const std::string& wished);
  // A member that came in without a token: the coordinator itself. Replaces what is known of it.
  Status PutMember(const MemberRecord& member);
  Result<std::vector<MemberRecord>> Members();              // by node id
  Result<MemberRecord> Member(const std::string& node_id);  // NotFound
  Status RenewMember(const std::string& node_id, const std::string& serial,
                     Time expires);                 // PermissionDenied if removed
  Status RemoveMember(const std::string& node_id);  // NotFound
  // PermissionDenied unless it is a member that was not removed, with this role.
  Status CheckMember(const PeerIdentity& peer);

  // 1, 2, 3, ...: never the same twice, whatever happens in between.
  Result<std::uint64_t> NextEpoch();
  Status SavePlan(
      const PlanRecord& plan);  // replaces one of the same epoch; the newest twenty are kept
  Result<std::optional<PlanRecord>> LatestPlan();

 private:
  struct Database;
  explicit Store(std::unique_ptr<Database> database);

  std::unique_ptr<Database> database_;
};

}  // namespace bramble::coordinator
