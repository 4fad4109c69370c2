#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/settings.h"
#include "common/status.h"

// Where settings come from: the three readers behind common/settings.h. Not for others.
namespace bramble {

// What one source says about one setting, as written.
struct GivenValue {
  std::vector<std::string> texts;  // one, except for kTexts
  std::string origin;              // "flag --memory"
  bool is_secret = false;          // texts hold the secret itself, not the path of its file
};
using GivenValues = std::map<std::string, GivenValue, std::less<>>;  // by Setting::name

// The command's rows and those that every command has (a row of the command hides one of the same
// name).
std::vector<const Setting*> AllRows(const Command& command);
// --config, --help, --version and --print-config steer the reading itself: no keys of the file.
bool IsSteering(const Setting& row);

std::string FlagName(const Setting& row);      // "--token-file"
std::string VariableName(const Setting& row);  // "BRAMBLE_TOKEN_FILE"
std::string KeyName(const Setting& row);       // "token-file"
std::string ValueName(const Setting& row);     // "FILE", "int8|f32"; empty for a switch

Result<GivenValues> ReadWords(const Command& command, std::span<const std::string> words);
Result<GivenValues> ReadVariables(const Command& command, const Environment& environment);
// NotFound if there is no such file.
Result<GivenValues> ReadSettingsFile(const Command& command, std::span<const Command> family,
                                     const std::string& path);

// "; did you mean --memory?", or nothing if no candidate is close.
std::string Suggestion(std::string_view word, const std::vector<std::string>& candidates);

// Of one row of --print-config: "memory: 4G" as a line of YAML.
std::string ConfigLine(const Setting& row, const std::vector<std::string>& texts);

}  // namespace bramble
