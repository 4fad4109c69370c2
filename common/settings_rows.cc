// The rows that every command has, and the names that a row has in each source.
#include <algorithm>
#include <array>

#include "common/settings_sources.h"

namespace bramble {
namespace {

constexpr std::array<Setting, 6> kCommonRows = {{
    {.name = "config",
     .type = SettingType::kText,
     .fallback = nullptr,
     .help = "read settings from this YAML file",
     .value_name = "FILE"},
    {.name = "print-config",
     .type = SettingType::kSwitch,
     .fallback = nullptr,
     .help = "print every setting with its value and its origin, and exit"},
    {.name = "log-level",
     .type = SettingType::kChoice,
     .fallback = "info",
     .help = "least important messages to log",
     .choices = "trace|debug|info|warn|error"},
    {.name = "log-format",
     .type = SettingType::kChoice,
     .fallback = nullptr,
     .help = "form of a log line; text on a terminal and json elsewhere if not set",
     .choices = "text|json|logfmt"},
    {.name = "help",
     .type = SettingType::kSwitch,
     .fallback = nullptr,
     .help = "print this",
     .letter = 'h'},
    {.name = "version",
     .type = SettingType::kSwitch,
     .fallback = nullptr,
     .help = "print the version"},
}};
constexpr std::array<std::string_view, 4> kSteering = {"config", "print-config", "help", "version"};

std::string UpperCase(std::string_view text) {
  std::string upper(text);
  for (char& c : upper) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    if (c == '-') c = '_';
  }
  return upper;
}

// Levenshtein's distance.
std::size_t Distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row[b.size()];
}

}  // namespace

std::vector<const Setting*> AllRows(const Command& command) {
  std::vector<const Setting*> rows;
  for (const Setting& row : command.settings) rows.push_back(&row);
  for (const Setting& row : kCommonRows) {
    const auto same_name = [&](const Setting& own) {
      return std::string_view(own.name) == row.name;
    };
    if (std::none_of(command.settings.begin(), command.settings.end(), same_name))
      rows.push_back(&row);
  }
  return rows;
}

bool IsSteering(const Setting& row) {
  return std::find(kSteering.begin(), kSteering.end(), row.name) != kSteering.end();
}

std::string KeyName(const Setting& row) {
  std::string key = row.name;
  if (row.type == SettingType::kSecret) key += "-file";
  return key;
}

std::string FlagName(const Setting& row) { return "--" + KeyName(row); }

std::string VariableName(const Setting& row) { return "BRAMBLE_" + UpperCase(KeyName(row)); }

std::string ValueName(const Setting& row) {
  if (row.value_name != nullptr) return row.value_name;
  switch (row.type) {
    case SettingType::kSwitch:
      return "";
    case SettingType::kChoice:
      return row.choices;
    case SettingType::kInteger:
      return "N";
    case SettingType::kNumber:
      return "X";
    case SettingType::kSize:
      return "SIZE";
    case SettingType::kDuration:
      return "TIME";
    case SettingType::kSecret:
      return "FILE";
    case SettingType::kText:
    case SettingType::kTexts:
      return row.place == SettingPlace::kFlag ? "TEXT" : UpperCase(row.name);
  }
  return "";
}

std::string Suggestion(std::string_view word, const std::vector<std::string>& candidates) {
  const std::string* best = nullptr;
  std::size_t best_distance = word.size() / 3 + 1;  // more mistakes than this make another word
  for (const std::string& candidate : candidates) {
    const std::size_t distance = Distance(word, candidate);
    if (distance <= best_distance && (best == nullptr || distance < best_distance)) {
      best = &candidate;
      best_distance = distance;
    }
  }
  return best == nullptr ? "" : "; did you mean " + *best + "?";
}

}  // namespace bramble
