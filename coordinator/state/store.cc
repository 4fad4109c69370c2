// Opening, the cluster's id and plans. Tokens and members: access.cc.
#include "coordinator/state/store.h"

#include <utility>

#include "common/escape.h"
#include "common/files.h"
#include "coordinator/state/schema.h"
#include "coordinator/state/store_database.h"

namespace bramble::coordinator {
namespace {

constexpr std::int64_t kKeptPlans = 20;

}  // namespace

Store::Store(std::unique_ptr<Database> database) : database_(std::move(database)) {}
Store::~Store() = default;

Result<std::unique_ptr<Store>> Store::Open(const std::string& folder) {
  RETURN_IF_ERROR(MakeFolders(folder, 0700));
  ASSIGN_OR_RETURN(std::unique_ptr<Connection> connection,
                   Connection::Open(JoinPath(folder, "bramble.db")));
  RETURN_IF_ERROR(Migrate(*connection));
  return std::unique_ptr<Store>(new Store(std::make_unique<Database>(std::move(connection))));
}

Status Store::ClaimCluster(const std::string& cluster_id) {
  {
    const MutexLock lock(database_->mu);
    ASSIGN_OR_RETURN(Statement insert,
                     database_->connection->Prepare(
                         "INSERT OR IGNORE INTO facts (name, value) VALUES ('cluster_id', ?)"));
    RETURN_IF_ERROR(insert.Bind(cluster_id).Run());
  }
  ASSIGN_OR_RETURN(const std::string kept, ClusterId());
  if (kept == cluster_id) return {};
  return Failed("the state belongs to the cluster '", Printable(kept),
                "', the certificate authority to '", Printable(cluster_id),
                "': keep the files of one cluster in one folder");
}

Result<std::string> Store::ClusterId() {
  const MutexLock lock(database_->mu);
  ASSIGN_OR_RETURN(Statement query, database_->connection->Prepare(
                                        "SELECT value FROM facts WHERE name = 'cluster_id'"));
  ASSIGN_OR_RETURN(const bool found, query.Step());
  if (!found) return NotFound("no cluster has been set up here yet");
  return query.Text(0);
}

Result<std::uint64_t> Store::NextEpoch() {
  const MutexLock lock(database_->mu);
  ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(*database_->connection));
  std::int64_t epoch = 0;
  {
    ASSIGN_OR_RETURN(Statement count,
                     database_->connection->Prepare(
                         "INSERT INTO counters (name, value) VALUES ('epoch', 1) "
                         "ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value"));
    ASSIGN_OR_RETURN(const bool row, count.Step());
    if (!row) return Internal("the database gave no epoch");
    epoch = count.Integer(0);
    RETURN_IF_ERROR(count.Run());
  }
  RETURN_IF_ERROR(transaction.Commit());
  return static_cast<std::uint64_t>(epoch);
}

Status Store::SavePlan(const PlanRecord& plan) {
  const MutexLock lock(database_->mu);
  ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(*database_->connection));
  ASSIGN_OR_RETURN(
      Statement insert,
      database_->connection->Prepare(
          "INSERT OR REPLACE INTO plans (epoch, model, json, made) VALUES (?, ?, ?, ?)"));
  RETURN_IF_ERROR(insert.Bind(static_cast<std::int64_t>(plan.epoch))
                      .Bind(plan.model)
                      .Bind(plan.json)
                      .Bind(ToMicros(plan.made))
                      .Run());
  ASSIGN_OR_RETURN(Statement trim, database_->connection->Prepare(
                                       "DELETE FROM plans WHERE epoch NOT IN "
                                       "(SELECT epoch FROM plans ORDER BY epoch DESC LIMIT ?)"));
  RETURN_IF_ERROR(trim.Bind(kKeptPlans).Run());
  return transaction.Commit();
}

Result<std::optional<PlanRecord>> Store::LatestPlan() {
  const MutexLock lock(database_->mu);
  ASSIGN_OR_RETURN(Statement query,
                   database_->connection->Prepare(
                       "SELECT epoch, model, json, made FROM plans ORDER BY epoch DESC LIMIT 1"));
  ASSIGN_OR_RETURN(const bool found, query.Step());
  if (!found) return std::optional<PlanRecord>();
  return std::optional<PlanRecord>({static_cast<std::uint64_t>(query.Integer(0)), query.Text(1),
                                    query.Text(2), FromMicros(query.Integer(3))});
}

}  // namespace bramble::coordinator
