// What the tables say to people and to shells: help, the list of verbs, completion.
#include <algorithm>
#include <set>
#include <sstream>

#include "common/settings_sources.h"

namespace bramble {
namespace {

constexpr std::size_t kWidth = 100;
constexpr std::size_t kWidestLeft = 34;

// "left   right", the right side wrapped at kWidth.
void AppendRow(const std::string& left, std::size_t left_width, const std::string& right,
               std::string* text) {
  std::string line = "  " + left;
  const std::size_t column = left_width + 4;
  if (line.size() + 2 > column) {
    *text += line + "\n";
    line.clear();
  }
  line.resize(column, ' ');
  std::istringstream words(right);
  std::string word;
  bool first = true;
  while (words >> word) {
    if (!first && line.size() + 1 + word.size() > kWidth) {
      *text += line + "\n";
      line.assign(column, ' ');
      first = true;
    }
    line += (first ? "" : " ") + word;
    first = false;
  }
  *text += line + "\n";
}

struct HelpRow {
  std::string left;
  std::string right;
};

void AppendRows(const char* title, const std::vector<HelpRow>& rows, std::string* text) {
  if (rows.empty()) return;
  std::size_t width = 0;
  for (const HelpRow& row : rows) {
    if (row.left.size() <= kWidestLeft) width = std::max(width, row.left.size());
  }
  *text += std::string("\n") + title + ":\n";
  for (const HelpRow& row : rows) AppendRow(row.left, width, row.right, text);
}

HelpRow FlagRow(const Setting& row) {
  std::string left = row.letter != 0 ? std::string("-") + row.letter + ", " : "    ";
  left += FlagName(row);
  const std::string value = ValueName(row);
  if (!value.empty()) left += " " + value;
  std::string right = row.help;
  if (row.type == SettingType::kSecret) right += " ('-': standard input)";
  if (row.type == SettingType::kTexts) right += " (may be repeated)";
  if (row.required) right += " (required)";
  if (row.fallback != nullptr) right += std::string(" [") + row.fallback + "]";
  return {left, right};
}

std::string UsageLine(const Command& command) {
  std::string usage = std::string("Usage: ") + command.name;
  for (const Setting& row : command.settings) {
    if (row.place == SettingPlace::kFlag) continue;
    const std::string word = ValueName(row) + (row.place == SettingPlace::kRest ? "..." : "");
    usage += row.required ? " " + word : " [" + word + "]";
  }
  return usage + " [flags]\n";
}

std::vector<std::string> NameWords(const Command& command) {
  std::istringstream stream{std::string(command.name)};
  std::vector<std::string> words;
  std::string word;
  while (stream >> word) words.push_back(word);
  return words;
}

bool BeginsWith(std::span<const std::string> words, const std::vector<std::string>& name) {
  return words.size() >= name.size() && std::equal(name.begin(), name.end(), words.begin());
}

void AddChoices(const Setting& row, std::set<std::string>* found) {
  if (row.choices == nullptr) return;
  std::string_view choices = row.choices;
  for (;;) {
    const std::size_t bar = choices.find('|');
    found->emplace(choices.substr(0, bar));
    if (bar == std::string_view::npos) return;
    choices.remove_prefix(bar + 1);
  }
}

// Flags of a command, or the choices of the flag that stands before the unfinished word.
void AddFlags(const Command& command, std::span<const std::string> arguments,
              std::set<std::string>* found) {
  const std::string before = arguments.size() >= 2 ? arguments[arguments.size() - 2] : "";
  for (const Setting* row : AllRows(command)) {
    if (row->place != SettingPlace::kFlag) {
      AddChoices(*row, found);
      continue;
    }
    const bool is_before =
        before == FlagName(*row) || (row->letter != 0 && before == std::string("-") + row->letter);
    if (is_before && row->type != SettingType::kSwitch) {
      found->clear();
      AddChoices(*row, found);
      return;
    }
    found->insert(FlagName(*row));
  }
}

}  // namespace

std::string HelpText(const Command& command) {
  std::string text = UsageLine(command) + "\n" + command.summary + ".\n";
  if (command.details != nullptr) text += std::string("\n") + command.details + "\n";
  std::vector<HelpRow> arguments;
  std::vector<HelpRow> flags;
  for (const Setting* row : AllRows(command)) {
    if (row->place == SettingPlace::kFlag) {
      flags.push_back(FlagRow(*row));
    } else {
      arguments.push_back({ValueName(*row), row->help});
    }
  }
  AppendRows("Arguments", arguments, &text);
  AppendRows("Flags", flags, &text);
  text +=
      "\nA setting may also be a variable (--log-level: BRAMBLE_LOG_LEVEL) or a key of the YAML "
      "file (log-level: debug).\n"
      "A flag beats a variable, a variable beats the file, the file beats the default.\n";
  return text;
}

std::string VerbsHelp(std::string_view program, std::string_view summary,
                      std::span<const Command> commands) {
  std::string text = "Usage: " + std::string(program) + " VERB [arguments] [flags]\n\n" +
                     std::string(summary) + ".\n";
  std::vector<HelpRow> rows;
  for (const Command& command : commands) rows.push_back({command.name, command.summary});
  AppendRows("Verbs", rows, &text);
  return text + "\n" + std::string(program) + " VERB --help says more about one of them.\n";
}

const Command* FindCommand(std::span<const Command> commands, std::span<const std::string> words,
                           std::size_t* used) {
  const Command* best = nullptr;
  *used = 0;
  for (const Command& command : commands) {
    const std::vector<std::string> name = NameWords(command);
    if (!BeginsWith(words, name) || (best != nullptr && name.size() <= *used)) continue;
    best = &command;
    *used = name.size();
  }
  return best;
}

std::vector<std::string> CompletionWords(std::span<const Command> commands,
                                         std::span<const std::string> words) {
  const std::string unfinished = words.empty() ? "" : words.back();
  const auto finished = words.first(words.empty() ? 0 : words.size() - 1);
  std::set<std::string> found;
  std::size_t used = 0;
  if (const Command* command = FindCommand(commands, finished, &used))
    AddFlags(*command, words.subspan(used), &found);
  for (const Command& command : commands) {
    const std::vector<std::string> name = NameWords(command);
    if (name.size() > finished.size() &&
        std::equal(finished.begin(), finished.end(), name.begin())) {
      found.insert(name[finished.size()]);
    }
  }
  std::vector<std::string> matching;
  for (const std::string& word : found) {
    if (word.starts_with(unfinished)) matching.push_back(word);
  }
  return matching;
}

}  // namespace bramble
