#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/log.h"
#include "common/status.h"

namespace bramble {

enum class SettingType {
  kText,
  kTexts,     // a flag that may be repeated, a YAML list, or a variable with commas
  kInteger,   // 64 bits, signed
  kNumber,    // a finite double
  kSize,      // bytes: 512M, 4G, 1.5GiB; units are powers of 1024
  kDuration,  // 250ms, 10s, 5m, 24h, 7d
  kSwitch,    // --json, --no-json; true or false in a file
  kChoice,    // one of `choices`
  kSecret,  // row "token": --token-file FILE ('-': stdin), BRAMBLE_TOKEN or BRAMBLE_TOKEN_FILE, key
            // token-file. Never a flag's value
};

enum class SettingPlace { kFlag, kPositional, kRest };  // kRest: all further words; type kTexts

// One fact, one row: row "wait-workers" is the flag --wait-workers, the variable
// BRAMBLE_WAIT_WORKERS and the key wait-workers of the YAML file (for a positional: the word on the
// command line, the variable and the key).
struct Setting {
  const char* name;
  SettingType type;
  const char* fallback;           // the default, as one would write it; nullptr: not set
  const char* help;               // one line, no full stop
  char letter = 0;                // 'm': -m
  const char* choices = nullptr;  // "int8|f32"
  SettingPlace place = SettingPlace::kFlag;
  bool required = false;
  std::int64_t minimum = std::numeric_limits<std::int64_t>::min();  // of integers
  std::int64_t maximum = std::numeric_limits<std::int64_t>::max();
  const char* value_name = nullptr;  // in the help: "HOST:PORT"; else made from the type
};

// One program or one verb of one.
struct Command {
  const char* name;  // "bramble-worker"; in a list of verbs "token create", for its help "bramble
                     // token create"
  const char* summary;  // one line for lists of verbs, no full stop
  std::span<const Setting> settings;
  const char* details = nullptr;  // further lines of the help
};

// The values of a command's settings, each from the highest source that has it: flag, variable,
// file, default. A getter of a name that is not in the table, or of another type, is a broken
// promise; so is the value of one that is not set. Thread-safe (constant).
class Settings {
 public:
  bool Has(std::string_view name) const;                 // set by any source, or with a default
  const std::string& Text(std::string_view name) const;  // kText, kChoice, kSecret
  std::string TextOr(std::string_view name, std::string_view fallback) const;
  const std::vector<std::string>& Texts(std::string_view name) const;  // empty if not set
  std::int64_t Integer(std::string_view name) const;
  double Number(std::string_view name) const;
  std::uint64_t Size(std::string_view name) const;
  std::chrono::milliseconds Duration(std::string_view name) const;
  bool Switch(std::string_view name) const;  // false if not set

  // Where the value came from: "flag --memory", "variable BRAMBLE_MEMORY", "file worker.yaml line
  // 3", "default", "not set".
  const std::string& Origin(std::string_view name) const;

 private:
  friend class SettingsReader;
  struct Value {
    SettingType type = SettingType::kText;
    bool set = false;
    std::vector<std::string> written;  // empty: a secret that was a variable
    std::string origin = "not set";
    std::string text;
    std::vector<std::string> texts;
    std::int64_t integer = 0;  // also milliseconds and 0/1
    std::uint64_t size = 0;
    double number = 0;
  };
  const Value& Find(std::string_view name, std::initializer_list<SettingType> types) const;

  std::map<std::string, Value, std::less<>> values_;
};

// What to do after the command line was read.
struct ParsedCommand {
  Settings settings;
  // Set when there is nothing to run: --help, --version, --print-config (0), misuse (2). `output`
  // goes to stdout if it is 0, else to stderr.
  std::optional<int> exit_code;
  std::string output;
};

// Where variables come from; tests give their own.
using Environment = std::function<const char*(const char* name)>;
const char* ProcessEnvironment(const char* name);

struct ParseOptions {
  // Commands that share one YAML file with this one: their keys are not unknown in it.
  std::span<const Command> family;
  // Read if it is there and --config and BRAMBLE_CONFIG are not given. May be nullptr.
  const char* default_file = nullptr;
  // What --version prints after the name.
  const char* version = "";
  // The exit code for a bad file or variable: daemons want 78 (EX_CONFIG), so that systemd does not
  // start them again.
  int bad_configuration_code = 2;
};

// `words` are the command line after the command's own name. Every command also has --help,
// --version, --config FILE, --print-config,
// --log-level and --log-format (settings "log-level" and "log-format").
ParsedCommand ParseCommand(const Command& command, std::span<const std::string> words,
                           const ParseOptions& options,
                           const Environment& environment = ProcessEnvironment);

// Prints `output` where it belongs and returns the exit code. Requires exit_code.
int FinishCommand(const ParsedCommand& parsed);

// Starts the log as the settings say (log-level, log-format), with `logger` on each line. Where
// nobody has said a level it is `usual`.
void StartLogFrom(const Settings& settings, const std::string& logger,
                  LogLevel usual = LogLevel::kInfo);

// The help of one command.
std::string HelpText(const Command& command);
// "bramble VERB": the list of verbs with their summaries.
std::string VerbsHelp(std::string_view program, std::string_view summary,
                      std::span<const Command> commands);
// The command with the longest name that `words` begin with, "token create" for "token create --ttl
// 1h"; names may have several words, and here they are without the program's. nullptr if none.
// `*used` = how many words its name has.
const Command* FindCommand(std::span<const Command> commands, std::span<const std::string> words,
                           std::size_t* used);
// What may stand after `words` (the last one is unfinished, perhaps empty): verbs, flags, choices.
// Sorted. For a shell's completion.
std::vector<std::string> CompletionWords(std::span<const Command> commands,
                                         std::span<const std::string> words);

// The single types, for values inside of other texts. `what` names the value in the error.
Result<std::uint64_t> ParseSize(std::string_view text, std::string_view what);
Result<std::chrono::milliseconds> ParseDuration(std::string_view text, std::string_view what);
Result<std::int64_t> ParseInteger(std::string_view text, std::string_view what);
Result<double> ParseNumber(std::string_view text, std::string_view what);

}  // namespace bramble
