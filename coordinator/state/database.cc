#include "coordinator/state/database.h"

#include <sqlite3.h>
#include <unistd.h>

#include <chrono>
#include <utility>

#include "common/check.h"
#include "common/escape.h"
#include "common/files.h"

namespace bramble::coordinator {
namespace {

constexpr int kBusyTimeoutMs = 5000;
constexpr int kBusyPauseMs = 10;

Code CodeOf(int sqlite_code) {
  switch (sqlite_code & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
      return Code::kDataLoss;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return Code::kUnavailable;
    case SQLITE_FULL:
    case SQLITE_NOMEM:
    case SQLITE_TOOBIG:
      return Code::kResourceExhausted;
    case SQLITE_CONSTRAINT:
      return Code::kAlreadyExists;
    default:
      return Code::kFailedPrecondition;
  }
}

const char* Advice(Code code) {
  if (code == Code::kDataLoss)
    return "; the file is damaged or is no database: restore a copy, or move it away to begin anew";
  if (code == Code::kUnavailable)
    return "; another program has been writing to it for seconds: try again";
  return "";
}

Status Failure(sqlite3* database, int sqlite_code, const std::string& path) {
  const Code code = CodeOf(sqlite_code);
  return internal::MakeStatus(code, "the database '", Printable(path),
                              "': ", Printable(sqlite3_errmsg(database)), Advice(code));
}

}  // namespace

Statement::Statement(sqlite3_stmt* statement, std::string path)
    : statement_(statement), path_(std::move(path)) {}

void Statement::Finalize::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }

Statement& Statement::Bind(std::int64_t value) {
  CHECK(sqlite3_bind_int64(statement_.get(), ++bound_, value) == SQLITE_OK);
  return *this;
}

Statement& Statement::Bind(std::string_view value) {
  CHECK(sqlite3_bind_text64(statement_.get(), ++bound_, value.data(), value.size(),
                            SQLITE_TRANSIENT, SQLITE_UTF8) == SQLITE_OK);
  return *this;
}

Statement& Statement::BindNull() {
  CHECK(sqlite3_bind_null(statement_.get(), ++bound_) == SQLITE_OK);
  return *this;
}

Result<bool> Statement::Step() {
  const int code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return Failure(sqlite3_db_handle(statement_.get()), code, path_);
}

Status Statement::Run() {
  for (;;) {
    ASSIGN_OR_RETURN(const bool row, Step());
    if (!row) return {};
  }
}

std::int64_t Statement::Integer(int column) const {
  return sqlite3_column_int64(statement_.get(), column);
}

std::string Statement::Text(int column) const {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement_.get(), column));
  if (text == nullptr) return {};
  return {text, static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column))};
}

bool Statement::IsNull(int column) const {
  return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL;
}

Connection::Connection(sqlite3* database, std::string path)
    : database_(database), path_(std::move(path)) {}

void Connection::Close::operator()(sqlite3* database) const { sqlite3_close_v2(database); }

Result<std::unique_ptr<Connection>> Connection::Open(const std::string& path) {
  // SQLite would make it readable for everybody. An empty file is an empty database. Opened by
  // nobody else: closing a descriptor of a database drops the locks that this process holds on it.
  if (::access(path.c_str(), F_OK) != 0) {
    const Status made = WriteNewFile(path, "", 0600);
    if (!made.ok() && made.code() != Code::kAlreadyExists) return made;
  }
  sqlite3* opened = nullptr;
  const int code =
      sqlite3_open_v2(path.c_str(), &opened, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
  std::unique_ptr<Connection> connection(new Connection(opened, path));
  if (code != SQLITE_OK) return Failure(opened, code, path);
  CHECK(sqlite3_busy_timeout(opened, kBusyTimeoutMs) == SQLITE_OK);
  CHECK(sqlite3_extended_result_codes(opened, 1) == SQLITE_OK);
  RETURN_IF_ERROR(connection->SwitchToWal());
  RETURN_IF_ERROR(connection->Execute(
      "PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF; PRAGMA foreign_keys = ON"));
  RETURN_IF_ERROR(connection->CheckSound());
  return connection;
}

// SQLite does not wait for others when it changes the journal's mode, so we do.
Status Connection::SwitchToWal() {
  const auto deadline =
      std::chrono::steady_clock::now() + std::chrono::milliseconds(kBusyTimeoutMs);
  for (;;) {
    Status status = Execute("PRAGMA journal_mode = WAL");
    if (status.code() != Code::kUnavailable || std::chrono::steady_clock::now() > deadline)
      return status;
    sqlite3_sleep(kBusyPauseMs);
  }
}

Status Connection::CheckSound() {
  ASSIGN_OR_RETURN(Statement check, Prepare("PRAGMA quick_check(1)"));
  ASSIGN_OR_RETURN(const bool row, check.Step());
  if (row && check.Text(0) == "ok") return {};
  return DataLoss("the database '", Printable(path_),
                  "': ", Printable(row ? check.Text(0) : "no answer"), Advice(Code::kDataLoss));
}

Result<Statement> Connection::Prepare(const char* sql) {
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v2(database_.get(), sql, -1, &statement, nullptr);
  if (code != SQLITE_OK) return Failure(database_.get(), code, path_);
  return Statement(statement, path_);
}

Status Connection::Execute(const char* sql) {
  const int code = sqlite3_exec(database_.get(), sql, nullptr, nullptr, nullptr);
  return code == SQLITE_OK ? Status() : Failure(database_.get(), code, path_);
}

std::int64_t Connection::Changes() const { return sqlite3_changes64(database_.get()); }

Result<Transaction> Transaction::Begin(Connection& connection) {
  RETURN_IF_ERROR(connection.Execute("BEGIN IMMEDIATE"));
  return Transaction(&connection);
}

Transaction::Transaction(Transaction&& other) noexcept
    : connection_(std::exchange(other.connection_, nullptr)) {}

Transaction::~Transaction() {
  if (connection_ == nullptr) return;
  // It may be over already: SQLite itself undoes it after a full disk and the like.
  [[maybe_unused]] const Status ignored = connection_->Execute("ROLLBACK");
}

Status Transaction::Commit() {
  CHECK(connection_ != nullptr);
  RETURN_IF_ERROR(connection_->Execute("COMMIT"));
  connection_ = nullptr;
  return {};
}

}  // namespace bramble::coordinator
