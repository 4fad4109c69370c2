#include "common/manual.h"

#include "common/settings_sources.h"

namespace bramble {
namespace {

// Text of ours as roff takes it: a backslash, and a dot or quote at the beginning of a line, would
// be commands; a '-' would be printed as a hyphen that nobody can paste.
std::string Escaped(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '\\') {
      escaped += "\\e";
    } else if (c == '-') {
      escaped += "\\-";
    } else {
      if ((c == '.' || c == '\'') && (escaped.empty() || escaped.back() == '\n')) escaped += "\\&";
      escaped += c;
    }
  }
  return escaped;
}

std::string Font(char font, std::string_view text) {
  std::string marked("\\f");
  marked += font;
  return marked.append(Escaped(text)).append("\\fR");
}
std::string Bold(std::string_view text) { return Font('B', text); }
std::string Italic(std::string_view text) { return Font('I', text); }

std::string Title(std::string_view name, char section) {
  std::string upper;
  for (const char c : name) upper += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return std::string(".TH ").append(Escaped(upper)).append(" ") + section +
         " \"\" \"Bramble\" \"Bramble\"\n";
}

std::string Name(std::string_view name, std::string_view summary) {
  return std::string(".SH NAME\n").append(Escaped(name)).append(" \\- ").append(Escaped(summary)) +
         "\n";
}

// One setting: how it is written, what it means, where else it may stand.
std::string Row(const Setting& row) {
  std::string text(".TP\n");
  if (row.place == SettingPlace::kFlag) {
    if (row.letter != 0) text.append(Bold(std::string{'-', row.letter})).append(", ");
    text.append(Bold(FlagName(row)));
    const std::string value = ValueName(row);
    if (!value.empty()) text.append(" ").append(Italic(value));
  } else {
    text.append(Italic(ValueName(row)));
  }
  text.append("\n").append(Escaped(row.help)).append(".");
  if (row.required) text += " Required.";
  if (row.fallback != nullptr) text.append(" Default: ").append(Bold(row.fallback)).append(".");
  return text + "\n";
}

std::string Usage(const Command& command) {
  std::string text = Bold(command.name);
  for (const Setting& row : command.settings) {
    if (row.place == SettingPlace::kFlag) continue;
    std::string word = Italic(ValueName(row));
    if (row.place == SettingPlace::kRest) word += "...";
    text.append(row.required ? " " : " [").append(word).append(row.required ? "" : "]");
  }
  return text.append(" [").append(Italic("flags")).append("]\n");
}

constexpr const char* kSources =
    "Every setting may also be a variable (\\fB\\-\\-log\\-level\\fR: BRAMBLE_LOG_LEVEL) or a key "
    "of the YAML file (log\\-level: debug). A flag beats a variable, a variable beats the file, "
    "the file beats the default.\n";

}  // namespace

std::string ManualPage(const Command& command, std::string_view file) {
  std::string text = Title(command.name, '8') + Name(command.name, command.summary) +
                     ".SH SYNOPSIS\n" + Usage(command) + ".SH SETTINGS\n" + kSources;
  for (const Setting* row : AllRows(command)) text += Row(*row);
  text.append(".SH FILES\n.TP\n").append(Bold(file)).append("\nRead if it is there and no ");
  text.append(Bold("--config")).append(" is given.\n.SH EXIT STATUS\n");
  text.append("0 after SIGTERM; 1 for a failure; 2 for a misused command line; 78 for a wrong ");
  text.append("configuration, which starting again does not cure.\n.SH SEE ALSO\n");
  return text.append(Bold("bramble")).append("(1)\n");
}

std::string ManualPage(std::string_view program, std::string_view summary,
                       std::span<const Command> verbs) {
  std::string text = Title(program, '1') + Name(program, summary) + ".SH SYNOPSIS\n";
  text.append(Bold(program)).append(" ").append(Italic("VERB")).append(" [");
  text.append(Italic("arguments")).append("] [").append(Italic("flags")).append("]\n");
  text.append(".SH DESCRIPTION\n").append(kSources).append(".SH VERBS\n");
  for (const Command& verb : verbs) {
    text.append(".SS \"").append(Escaped(verb.name)).append("\"\n");
    text.append(Escaped(verb.summary)).append(".\n.PP\n").append(Usage(verb));
    for (const Setting& row : verb.settings) text.append(Row(row));
  }
  text.append(".SH EXIT STATUS\n0 done; 1 failed, the reason is on standard error; 2 misuse; ");
  text.append("3 not ready.\n.SH SEE ALSO\n").append(Bold("bramble-coordinator"));
  return text.append("(8), ").append(Bold("bramble-worker")).append("(8)\n");
}

}  // namespace bramble
