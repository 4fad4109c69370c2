#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>

#include "common/status.h"

namespace bramble {

enum class LogLevel { kTrace, kDebug, kInfo, kWarn, kError };
enum class LogFormat { kText, kJson, kLogfmt };

// "debug"; "text". Invalid names the choices.
Result<LogLevel> ParseLogLevel(std::string_view name);
Result<LogFormat> ParseLogFormat(std::string_view name);

// kText when stderr is a terminal, else kJson.
LogFormat DefaultLogFormat();

// One key=value of a line. Keys are ours (snake_case); a string value may be foreign: it is escaped
// and cut at 2000 bytes.
struct LogField {
  using Value = std::variant<std::string_view, std::int64_t, std::uint64_t, double, bool>;

  LogField(std::string_view k, std::string_view v) : key(k), value(v) {}
  LogField(std::string_view k, const std::string& v) : key(k), value(std::string_view(v)) {}
  LogField(std::string_view k, const char* v) : key(k), value(std::string_view(v)) {}
  LogField(std::string_view k, bool v) : key(k), value(v) {}
  LogField(std::string_view k, double v) : key(k), value(v) {}
  template <std::signed_integral T>
  LogField(std::string_view k, T v) : key(k), value(static_cast<std::int64_t>(v)) {}
  template <std::unsigned_integral T>
  requires(!std::same_as<T, bool>) LogField(std::string_view k, T v)
      : key(k), value(static_cast<std::uint64_t>(v)) {}

  std::string_view key;
  Value value;
};

struct LogOptions {
  LogLevel level = LogLevel::kInfo;
  LogFormat format = LogFormat::kText;
  std::string logger;  // the program: "bramble-worker"
  int descriptor = 2;  // stderr; tests write elsewhere
};

// Before the first thread that logs. Without it: text, info, stderr. gRPC's own messages come
// through here from then on.
void StartLog(const LogOptions& options);

// Puts node_id=... on every line from now on.
void SetLogNode(const std::string& node_id);

bool LogEnabled(LogLevel level);

// One event, one line: Log(kInfo, "worker joined", {{"node_id", id}, {"memory_bytes", bytes}}). The
// message is constant text, what varies is in the fields; "request_id" is the field that joins the
// lines of one request in all processes. Never pass prompts, answers, tokens or keys. Thread-safe;
// writes the line with one call.
void Log(LogLevel level, std::string_view message, std::initializer_list<LogField> fields = {});
inline void LogDebug(std::string_view message, std::initializer_list<LogField> fields = {}) {
  Log(LogLevel::kDebug, message, fields);
}
inline void LogInfo(std::string_view message, std::initializer_list<LogField> fields = {}) {
  Log(LogLevel::kInfo, message, fields);
}
inline void LogWarn(std::string_view message, std::initializer_list<LogField> fields = {}) {
  Log(LogLevel::kWarn, message, fields);
}
inline void LogError(std::string_view message, std::initializer_list<LogField> fields = {}) {
  Log(LogLevel::kError, message, fields);
}
// Adds error_type=CODE and error=message.
void LogFailure(std::string_view message, const Status& status,
                std::initializer_list<LogField> fields = {});

}  // namespace bramble
