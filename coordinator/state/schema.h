#pragma once

#include "common/status.h"
#include "coordinator/state/database.h"

namespace bramble::coordinator {

// The newest form of the database that this version writes (PRAGMA user_version).
int SchemaVersion();

// Brings an older database, or an empty one, to SchemaVersion() in one transaction.
// FailedPrecondition if it is newer.
Status Migrate(Connection& connection);

}  // namespace bramble::coordinator
