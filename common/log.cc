#include "common/log.h"

#include <grpc/support/log.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <ctime>
#include <span>
#include <vector>

#include "common/escape.h"
#include "common/mutex.h"

namespace bramble {
namespace {

constexpr std::size_t kLongestValue = 2000;

struct LevelRow {
  LogLevel level;
  const char* name;      // on the command line
  const char* shown;     // in a line
  const char* priority;  // of syslog, as the journal reads it
};
constexpr std::array<LevelRow, 5> kLevels = {{
    {LogLevel::kTrace, "trace", "TRACE", "<7>"},
    {LogLevel::kDebug, "debug", "DEBUG", "<7>"},
    {LogLevel::kInfo, "info", "INFO", "<6>"},
    {LogLevel::kWarn, "warn", "WARN", "<4>"},
    {LogLevel::kError, "error", "ERROR", "<3>"},
}};

struct FormatRow {
  LogFormat format;
  const char* name;
};
constexpr std::array<FormatRow, 3> kFormats = {
    {{LogFormat::kText, "text"}, {LogFormat::kJson, "json"}, {LogFormat::kLogfmt, "logfmt"}}};

struct LogState {
  std::atomic<LogLevel> level = LogLevel::kInfo;
  Mutex mu;
  LogOptions options GUARDED_BY(mu);
  std::string node GUARDED_BY(mu);
  bool journal GUARDED_BY(mu) = false;
};

// Never destroyed: gRPC's threads may log while the process ends.
LogState& State() {
  static LogState& state = *new LogState;
  return state;
}

// True if systemd connected this descriptor to its journal (JOURNAL_STREAM=device:inode,
// systemd.exec(5)).
bool GoesToJournal(int descriptor) {
  const char* stream = std::getenv("JOURNAL_STREAM");
  struct stat facts {};
  if (stream == nullptr || ::fstat(descriptor, &facts) != 0) return false;
  return std::to_string(facts.st_dev) + ":" + std::to_string(facts.st_ino) == stream;
}

// 2026-11-25T20:54:53.123456Z
std::string Timestamp() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(now).count();
  const auto seconds = static_cast<std::time_t>(micros / 1'000'000);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  std::array<char, 40> date{};
  const std::size_t size = std::strftime(date.data(), date.size(), "%Y-%m-%dT%H:%M:%S", &parts);
  const std::string fraction = std::to_string(micros % 1'000'000);
  return std::string(date.data(), size) + "." + std::string(6 - fraction.size(), '0') + fraction +
         "Z";
}

std::string NumberText(double value) {
  std::array<char, 40> text{};
  std::snprintf(text.data(), text.size(), "%.9g", value);
  return text.data();
}

// A value without spaces, quotes or '=' stands as it is; any other in quotes.
std::string PlainText(std::string_view value) {
  std::string escaped = Printable(value, kLongestValue);
  if (!escaped.empty() && escaped.find_first_of(" =\"") == std::string::npos) return escaped;
  std::string quoted = "\"";
  for (const char c : escaped) {
    if (c == '"') quoted += '\\';
    quoted += c;
  }
  return quoted + "\"";
}

std::string JsonText(std::string_view value) {
  std::string text(1, '"');
  text += JsonEscaped(value, kLongestValue);
  text += '"';
  return text;
}

std::string ValueText(const LogField::Value& value, bool json) {
  if (const auto* text = std::get_if<std::string_view>(&value))
    return json ? JsonText(*text) : PlainText(*text);
  if (const auto* number = std::get_if<double>(&value)) {
    if (json && !std::isfinite(*number)) return "null";
    return NumberText(*number);
  }
  if (const auto* flag = std::get_if<bool>(&value)) return *flag ? "true" : "false";
  if (const auto* whole = std::get_if<std::int64_t>(&value)) return std::to_string(*whole);
  return std::to_string(std::get<std::uint64_t>(value));
}

// Writes a line of fields in one of the three forms.
class Line {
 public:
  explicit Line(LogFormat format) : format_(format), text_(format == LogFormat::kJson ? "{" : "") {}

  void Add(std::string_view key, const LogField::Value& value) {
    if (format_ == LogFormat::kJson) {
      Separate(',');
      text_ += JsonText(key) + ":" + ValueText(value, true);
    } else {
      Separate(' ');
      text_ += Printable(key) + "=" + ValueText(value, false);
    }
  }
  // Only in the form for people: a value without its key.
  void AddBare(std::string_view value) {
    Separate(' ');
    text_ += value;
  }
  std::string Finish() && {
    return std::move(text_) + (format_ == LogFormat::kJson ? "}\n" : "\n");
  }

 private:
  void Separate(char separator) {
    if (!first_) text_ += separator;
    first_ = false;
  }

  LogFormat format_;
  std::string text_;
  bool first_ = true;
};

std::string MakeLine(const LogOptions& options, const std::string& node, const LevelRow& level,
                     std::string_view message, std::span<const LogField> fields) {
  Line line(options.format);
  if (options.format == LogFormat::kText) {
    line.AddBare(Timestamp());
    line.AddBare(level.shown);
    line.AddBare(Printable(message, kLongestValue));
  } else {
    line.Add("timestamp", Timestamp());
    line.Add("level", level.shown);
    line.Add("msg", message);
    if (!options.logger.empty()) line.Add("logger", options.logger);
  }
  if (!node.empty()) line.Add("node_id", node);
  for (const LogField& field : fields) line.Add(field.key, field.value);
  return std::move(line).Finish();
}

void Write(int descriptor, std::string_view line) {
  while (!line.empty()) {
    const ssize_t written = ::write(descriptor, line.data(), line.size());
    if (written < 0 && errno != EINTR) return;  // there is nowhere left to say so
    if (written > 0) line.remove_prefix(static_cast<std::size_t>(written));
  }
}

void LogSpan(LogLevel level, std::string_view message, std::span<const LogField> fields) {
  if (!LogEnabled(level)) return;
  LogState& state = State();
  const LevelRow& row = kLevels[static_cast<std::size_t>(level)];
  const MutexLock lock(state.mu);
  const std::string line = MakeLine(state.options, state.node, row, message, fields);
  Write(state.options.descriptor, state.journal ? row.priority + line : line);
}

// gRPC reports what it refuses (a handshake, a broken frame) only here.
void LogFromGrpc(gpr_log_func_args* args) {
  const LogLevel level = args->severity == GPR_LOG_SEVERITY_ERROR  ? LogLevel::kWarn
                         : args->severity == GPR_LOG_SEVERITY_INFO ? LogLevel::kDebug
                                                                   : LogLevel::kTrace;
  Log(level, "grpc", {{"detail", args->message}});
}

}  // namespace

Result<LogLevel> ParseLogLevel(std::string_view name) {
  for (const LevelRow& row : kLevels) {
    if (name == row.name) return row.level;
  }
  return Invalid("the log level '", Printable(name),
                 "' is none of trace, debug, info, warn, error");
}

Result<LogFormat> ParseLogFormat(std::string_view name) {
  for (const FormatRow& row : kFormats) {
    if (name == row.name) return row.format;
  }
  return Invalid("the log format '", Printable(name), "' is none of text, json, logfmt");
}

LogFormat DefaultLogFormat() { return ::isatty(2) != 0 ? LogFormat::kText : LogFormat::kJson; }

void StartLog(const LogOptions& options) {
  LogState& state = State();
  {
    const MutexLock lock(state.mu);
    state.options = options;
    state.journal = GoesToJournal(options.descriptor);
  }
  state.level = options.level;
  gpr_set_log_function(LogFromGrpc);
}

void SetLogNode(const std::string& node_id) {
  const MutexLock lock(State().mu);
  State().node = node_id;
}

bool LogEnabled(LogLevel level) { return level >= State().level.load(std::memory_order_relaxed); }

void Log(LogLevel level, std::string_view message, std::initializer_list<LogField> fields) {
  LogSpan(level, message, {fields.begin(), fields.size()});
}

void LogFailure(std::string_view message, const Status& status,
                std::initializer_list<LogField> fields) {
  std::vector<LogField> all(fields);
  all.emplace_back("error_type", CodeName(status.code()));
  all.emplace_back("error", status.message());
  LogSpan(LogLevel::kError, message, all);
}

}  // namespace bramble
