#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "common/status.h"

struct sqlite3;
struct sqlite3_stmt;

namespace bramble::coordinator {

// One prepared statement. Parameters are bound in order, from 1 on. Not thread-safe; must not
// outlive its Database.
class Statement {
 public:
  explicit Statement(sqlite3_stmt* statement, std::string path);

  Statement& Bind(std::int64_t value);
  Statement& Bind(std::string_view value);
  Statement& BindNull();
  // True: a row is there. False: no more rows. DataLoss, Unavailable (somebody else writes for too
  // long), ...
  Result<bool> Step();
  // Steps to the end; for statements without rows that matter.
  Status Run();

  // Of the row that Step found; columns count from 0.
  std::int64_t Integer(int column) const;
  std::string Text(int column) const;
  bool IsNull(int column) const;

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
  std::string path_;
  int bound_ = 0;
};

// A connection to a SQLite file in WAL mode. Not thread-safe: Store holds a lock. Errors name the
// file.
class Connection {
 public:
  // Makes the file (mode 0600) if it is missing. DataLoss if it is not a sound database.
  static Result<std::unique_ptr<Connection>> Open(const std::string& path);

  const std::string& path() const { return path_; }
  // `sql` is one statement of our own; a wrong one is a broken promise unless the database itself
  // is at fault.
  Result<Statement> Prepare(const char* sql);
  // Any number of statements without parameters.
  Status Execute(const char* sql);
  // Rows that the last statement inserted, changed or deleted.
  std::int64_t Changes() const;

 private:
  struct Close {
    void operator()(sqlite3* database) const;
  };
  Connection(sqlite3* database, std::string path);
  Status SwitchToWal();
  Status CheckSound();

  std::unique_ptr<sqlite3, Close> database_;
  std::string path_;
};

// All or nothing: what is not committed is undone when the object goes. Takes the write lock at
// once, so that nothing that was read can have changed when it is written.
class Transaction {
 public:
  static Result<Transaction> Begin(Connection& connection);
  ~Transaction();
  Transaction(Transaction&& other) noexcept;
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  Transaction& operator=(Transaction&&) = delete;

  Status Commit();

 private:
  explicit Transaction(Connection* connection) : connection_(connection) {}
  Connection* connection_;  // nullptr: ended
};

}  // namespace bramble::coordinator
