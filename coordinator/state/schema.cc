#include "coordinator/state/schema.h"

#include <array>

#include "common/escape.h"

namespace bramble::coordinator {
namespace {

// One step a row; a step that was released is never edited. Times are microseconds since 1970.
constexpr std::array<const char*, 1> kSteps = {
    R"sql(
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
CREATE TABLE tokens (
  id TEXT PRIMARY KEY, salt TEXT NOT NULL, hash TEXT NOT NULL, role TEXT NOT NULL, uses_left INTEGER NOT NULL,
  created INTEGER NOT NULL, expires INTEGER, description TEXT NOT NULL) STRICT;
CREATE TABLE members (
  node_id TEXT PRIMARY KEY, role TEXT NOT NULL, joined INTEGER NOT NULL, serial TEXT NOT NULL,
  expires INTEGER NOT NULL, removed INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE TABLE plans (
  epoch INTEGER PRIMARY KEY, model TEXT NOT NULL, json TEXT NOT NULL, made INTEGER NOT NULL) STRICT;
)sql",
};

Result<std::int64_t> Version(Connection& connection) {
  ASSIGN_OR_RETURN(Statement statement, connection.Prepare("PRAGMA user_version"));
  ASSIGN_OR_RETURN(const bool row, statement.Step());
  return row ? statement.Integer(0) : 0;
}

}  // namespace

int SchemaVersion() { return static_cast<int>(kSteps.size()); }

Status Migrate(Connection& connection) {
  ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(connection));
  ASSIGN_OR_RETURN(const std::int64_t version, Version(connection));
  if (version < 0 || version > SchemaVersion()) {
    return Failed("the database '", Printable(connection.path()), "' has form ", version,
                  " and this version of Bramble knows forms up to ", SchemaVersion(),
                  ": it needs a newer Bramble");
  }
  for (auto step = static_cast<std::size_t>(version); step < kSteps.size(); ++step) {
    RETURN_IF_ERROR(connection.Execute(kSteps[step]));
  }
  const std::string set = "PRAGMA user_version = " + std::to_string(SchemaVersion());
  RETURN_IF_ERROR(connection.Execute(set.c_str()));
  return transaction.Commit();
}

}  // namespace bramble::coordinator
