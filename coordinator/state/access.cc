// Who may come in and who is in: tokens and members of the Store.
#include <utility>

#include "common/check.h"
#include "common/escape.h"
#include "common/sha256.h"
#include "coordinator/state/store.h"
#include "coordinator/state/store_database.h"

namespace bramble::coordinator {
namespace {

constexpr std::size_t kSaltBytes = 16;
constexpr std::size_t kLongestNodeId = 63;
constexpr std::int64_t kMostUses = 1'000'000;
// Nothing matches it: checked for an unknown token, so that its answer takes as long as one for a
// wrong secret.
constexpr std::string_view kNoHash =
    "0000000000000000000000000000000000000000000000000000000000000000";

Result<TokenRecord> ReadToken(const Statement& row) {
  TokenRecord token;
  token.id = row.Text(0);
  ASSIGN_OR_RETURN(token.role, ParseRole(row.Text(1)));
  token.uses_left = row.Integer(2);
  token.created = FromMicros(row.Integer(3));
  if (!row.IsNull(4)) token.expires = FromMicros(row.Integer(4));
  token.description = row.Text(5);
  return token;
}

Result<MemberRecord> ReadMember(const Statement& row) {
  MemberRecord member;
  member.node_id = row.Text(0);
  ASSIGN_OR_RETURN(member.role, ParseRole(row.Text(1)));
  member.joined = FromMicros(row.Integer(2));
  member.certificate_serial = row.Text(3);
  member.certificate_expires = FromMicros(row.Integer(4));
  member.removed = row.Integer(5) != 0;
  return member;
}

// Requires the store's lock.
Result<TokenRecord> FindUsableToken(Connection& connection, const JoinToken& token, Time now) {
  ASSIGN_OR_RETURN(
      Statement query,
      connection.Prepare("SELECT id, role, uses_left, created, expires, description, salt, hash "
                         "FROM tokens WHERE id = ?"));
  ASSIGN_OR_RETURN(const bool found, query.Bind(token.id).Step());
  const std::string salt = found ? query.Text(6) : std::string(kSaltBytes * 2, '0');
  const std::string hash = found ? query.Text(7) : std::string(kNoHash);
  if (!SecretMatches(salt, hash, token.secret) || !found) {
    return Unauthenticated(
        "the join token is not one of this cluster's (or was deleted): make one with `bramble "
        "token create`");
  }
  ASSIGN_OR_RETURN(TokenRecord record, ReadToken(query));
  if (record.expires && *record.expires <= now) {
    return Unauthenticated("the join token '", record.id,
                           "' has expired: make a new one with `bramble token create`");
  }
  if (record.uses_left <= 0) {
    return Unauthenticated("the join token '", record.id,
                           "' is used up: make a new one with `bramble token create`");
  }
  return record;
}

Status InsertMember(Connection& connection, const char* sql, const MemberRecord& member) {
  ASSIGN_OR_RETURN(Statement insert, connection.Prepare(sql));
  return insert.Bind(member.node_id)
      .Bind(RoleName(member.role))
      .Bind(ToMicros(member.joined))
      .Bind(member.certificate_serial)
      .Bind(ToMicros(member.certificate_expires))
      .Bind(std::int64_t{member.removed ? 1 : 0})
      .Run();
}

Status NoSuchMember(const std::string& node_id) {
  return NotFound("no member '", Printable(node_id), "' in this cluster");
}

}  // namespace

Result<JoinToken> Store::CreateToken(const std::string& fingerprint, const NewToken& token,
                                     Time now) {
  if (token.uses < 1 || token.uses > kMostUses) {
    return Invalid("a join token for ", token.uses, " uses: 1 to ", kMostUses, " are possible");
  }
  if (token.role == Role::kCoordinator) return Invalid("a coordinator does not join by a token");
  if (token.life && token.life->count() <= 0)
    return Invalid("a join token's life must be longer than nothing");
  JoinToken made = MakeJoinToken(fingerprint);
  const std::string random = RandomBytes(kSaltBytes);
  const std::string salt =
      Hex({reinterpret_cast<const std::uint8_t*>(random.data()), random.size()});
  const MutexLock lock(database_->mu);
  ASSIGN_OR_RETURN(Statement insert,
                   database_->connection->Prepare(
                       "INSERT INTO tokens (id, salt, hash, role, uses_left, created, expires, "
                       "description) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"));
  insert.Bind(made.id)
      .Bind(salt)
      .Bind(SecretHash(salt, made.secret))
      .Bind(RoleName(token.role))
      .Bind(token.uses);
  insert.Bind(ToMicros(now));
  if (token.life) {
    insert.Bind(ToMicros(now + *token.life));
  } else {
    insert.BindNull();
  }
  RETURN_IF_ERROR(insert.Bind(token.description).Run());
  return made;
}

Result<std::vector<TokenRecord>> Store::Tokens() {
  const MutexLock lock(database_->mu);
  ASSIGN_OR_RETURN(Statement query,
                   database_->connection->Prepare("SELECT id, role, uses_left, created, expires, "
                                                  "description FROM tokens ORDER BY created, id"));
  std::vector<TokenRecord> tokens;
  for (;;) {
    ASSIGN_OR_RETURN(const bool row, query.Step());
    if (!row) return tokens;
    ASSIGN_OR_RETURN(TokenRecord token, ReadToken(query));
    tokens.push_back(std::move(token));
  }
}

Status Store::DeleteToken(const std::string& id) {
  const MutexLock lock(database_->mu);
  ASSIGN_OR_RETURN(Statement remove,
                   database_->connection->Prepare("DELETE FROM tokens WHERE id = ?"));
  RETURN_IF_ERROR(remove.Bind(id).Run());
  if (database_->connection->Changes() > 0) return {};
  return NotFound("no join token '", Printable(id), "'");
}

Result<TokenRecord> Store::CheckToken(const JoinToken& token, Time now) {
  const MutexLock lock(database_->mu);
  return FindUsableToken(*database_->connection, token, now);
}

Status Store::Admit(const JoinToken& token, const MemberRecord& member, Time now) {
  RETURN_IF_ERROR(CheckNodeId(member.node_id));
  const MutexLock lock(database_->mu);
  Connection& connection = *database_->connection;
  ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(connection));
  ASSIGN_OR_RETURN(const TokenRecord record, FindUsableToken(connection, token, now));
  if (record.role != member.role) {
    return Denied("the join token '", record.id, "' is for the role ", RoleName(record.role),
                  ", not ", RoleName(member.role));
  }
  const Status inserted = InsertMember(connection,
                                       "INSERT INTO members (node_id, role, joined, serial, "
                                       "expires, removed) VALUES (?, ?, ?, ?, ?, ?)",
                                       member);
  if (inserted.code() == Code::kAlreadyExists) {
    return AlreadyExists("the node id '", member.node_id, "' is taken");
  }
  RETURN_IF_ERROR(inserted);
  ASSIGN_OR_RETURN(Statement use,
                   connection.Prepare("UPDATE tokens SET uses_left = uses_left - 1 WHERE id = ?"));
  RETURN_IF_ERROR(use.Bind(record.id).Run());
  return transaction.Commit();
}

Result<std::string> Store::FreeNodeId(const std::string& wished) {
  RETURN_IF_ERROR(CheckNodeId(wished));
  const MutexLock lock(database_->mu);
  std::string candidate = wished;
  for (std::uint64_t number = 2;; ++number) {
    ASSIGN_OR_RETURN(Statement query,
                     database_->connection->Prepare("SELECT 1 FROM members WHERE node_id = ?"));
    ASSIGN_OR_RETURN(const bool taken, query.Bind(candidate).Step());
    if (!taken && candidate != kCoordinatorNodeId) return candidate;
    std::string end(1, '-');
    end += std::to_string(number);
    candidate = wished.substr(0, kLongestNodeId - end.size()) + end;
  }
}

Status Store::PutMember(const MemberRecord& member) {
  RETURN_IF_ERROR(CheckNodeId(member.node_id));
  const MutexLock lock(database_->mu);
  return InsertMember(*database_->connection,
                      "INSERT OR REPLACE INTO members (node_id, role, joined, serial, expires, "
                      "removed) VALUES (?, ?, ?, ?, ?, ?)",
                      member);
}

Result<std::vector<MemberRecord>> Store::Members() {
  const MutexLock lock(database_->mu);
  ASSIGN_OR_RETURN(
      Statement query,
      database_->connection->Prepare(
          "SELECT node_id, role, joined, serial, expires, removed FROM members ORDER BY node_id"));
  std::vector<MemberRecord> members;
  for (;;) {
    ASSIGN_OR_RETURN(const bool row, query.Step());
    if (!row) return members;
    ASSIGN_OR_RETURN(MemberRecord member, ReadMember(query));
    members.push_back(std::move(member));
  }
}

Result<MemberRecord> Store::Member(const std::string& node_id) {
  const MutexLock lock(database_->mu);
  ASSIGN_OR_RETURN(
      Statement query,
      database_->connection->Prepare(
          "SELECT node_id, role, joined, serial, expires, removed FROM members WHERE node_id = ?"));
  ASSIGN_OR_RETURN(const bool found, query.Bind(node_id).Step());
  if (!found) return NoSuchMember(node_id);
  return ReadMember(query);
}

Status Store::RenewMember(const std::string& node_id, const std::string& serial, Time expires) {
  const MutexLock lock(database_->mu);
  ASSIGN_OR_RETURN(
      Statement update,
      database_->connection->Prepare(
          "UPDATE members SET serial = ?, expires = ? WHERE node_id = ? AND removed = 0"));
  RETURN_IF_ERROR(update.Bind(serial).Bind(ToMicros(expires)).Bind(node_id).Run());
  if (database_->connection->Changes() > 0) return {};
  return Denied("'", Printable(node_id),
                "' is not a member of this cluster, or was removed from it");
}

Status Store::RemoveMember(const std::string& node_id) {
  const MutexLock lock(database_->mu);
  ASSIGN_OR_RETURN(Statement update, database_->connection->Prepare(
                                         "UPDATE members SET removed = 1 WHERE node_id = ?"));
  RETURN_IF_ERROR(update.Bind(node_id).Run());
  return database_->connection->Changes() > 0 ? Status() : NoSuchMember(node_id);
}

Status Store::CheckMember(const PeerIdentity& peer) {
  const auto member = Member(peer.node_id);
  if (!member.ok() && member.status().code() != Code::kNotFound) return member.status();
  if (member.ok() && !member->removed && member->role == peer.role) return {};
  return Denied("'", Printable(peer.node_id), "' is not a ", RoleName(peer.role),
                " of this cluster, or was removed from it");
}

}  // namespace bramble::coordinator
