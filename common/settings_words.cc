// Settings from the words of a command line and from variables.
// Not CLI11: its options that may be repeated take a value "[INST] a, b [/INST]" apart at the comma
// and drop the brackets, and prompts look like that (docs/decisions).
#include <algorithm>

#include "common/escape.h"
#include "common/settings_sources.h"

namespace bramble {
namespace {

struct FoundFlag {
  const Setting* row = nullptr;
  bool negated = false;  // --no-name of a switch
};

class WordReader {
 public:
  WordReader(const Command& command, std::span<const std::string> words)
      : command_(command), rows_(AllRows(command)), words_(words) {}

  Result<GivenValues> Read() {
    bool flags_ended = false;
    while (next_ < words_.size()) {
      const std::string& word = words_[next_++];
      if (!flags_ended && word == "--") {
        flags_ended = true;
      } else if (!flags_ended && word.starts_with("--")) {
        RETURN_IF_ERROR(ReadLongFlag(word));
      } else if (!flags_ended && IsLetterFlag(word)) {
        RETURN_IF_ERROR(ReadLetters(word));
      } else {
        RETURN_IF_ERROR(ReadPositional(word));
      }
    }
    return std::move(given_);
  }

 private:
  Status Misuse(std::string_view what, std::string_view word) const {
    return Invalid(what, " '", Printable(word), "'");
  }

  FoundFlag FindFlag(std::string_view flag) const {
    for (const Setting* row : rows_) {
      if (row->place != SettingPlace::kFlag) continue;
      if (flag == FlagName(*row)) return {row, false};
      if (row->type == SettingType::kSwitch && flag == std::string("--no-") + row->name)
        return {row, true};
    }
    return {};
  }

  const Setting* FindLetter(char letter) const {
    for (const Setting* row : rows_) {
      if (row->letter == letter && row->place == SettingPlace::kFlag) return row;
    }
    return nullptr;
  }

  // "-5" is a number unless there is a flag -5; "-" alone is a word.
  bool IsLetterFlag(std::string_view word) const {
    if (word.size() < 2 || word[0] != '-') return false;
    const bool number = (word[1] >= '0' && word[1] <= '9') || word[1] == '.';
    return !number || FindLetter(word[1]) != nullptr;
  }

  void Give(const Setting& row, std::string origin, std::string text) {
    GivenValue& value = given_[row.name];
    if (row.type != SettingType::kTexts) value.texts.clear();  // the last one counts
    value.texts.push_back(std::move(text));
    value.origin = std::move(origin);
  }

  // The word after a flag that needs a value.
  Status GiveNextWord(const Setting& row, const std::string& flag) {
    if (next_ == words_.size())
      return Invalid("the flag ", flag, " needs a value: ", ValueName(row));
    const std::string& value = words_[next_++];
    if (value.starts_with("--") && FindFlag(value.substr(0, value.find('='))).row != nullptr) {
      return Invalid("the flag ", flag, " needs a value: ", ValueName(row), " (if '",
                     Printable(value), "' is meant, write ", flag, "=", Printable(value), ")");
    }
    Give(row, "flag " + flag, value);
    return {};
  }

  Status ReadLongFlag(std::string_view word) {
    const std::size_t equals = word.find('=');
    const std::string flag(word.substr(0, equals));
    const FoundFlag found = FindFlag(flag);
    if (found.row == nullptr) return UnknownFlag(flag);
    const std::string origin = "flag " + FlagName(*found.row);
    if (found.row->type == SettingType::kSwitch) {
      if (equals == std::string_view::npos) {
        Give(*found.row, origin, found.negated ? "false" : "true");
        return {};
      }
      if (found.negated) return Misuse("no value belongs to", word);
    }
    if (equals == std::string_view::npos) return GiveNextWord(*found.row, flag);
    Give(*found.row, origin, std::string(word.substr(equals + 1)));
    return {};
  }

  Status UnknownFlag(const std::string& flag) const {
    std::vector<std::string> flags;
    for (const Setting* row : rows_) {
      if (row->place != SettingPlace::kFlag) continue;
      flags.push_back(FlagName(*row));
      if (row->type == SettingType::kSecret && flag == std::string("--") + row->name) {
        return Invalid(
            "a secret on the command line can be seen by everybody on this machine: write it into "
            "a file and "
            "give ",
            FlagName(*row), " FILE");
      }
    }
    return Invalid("unknown flag '", Printable(flag), "'", Suggestion(flag, flags));
  }

  // "-n5", "-n 5", "-vq" of switches.
  Status ReadLetters(std::string_view word) {
    for (std::size_t i = 1; i < word.size(); ++i) {
      const Setting* row = FindLetter(word[i]);
      if (row == nullptr) return Misuse("unknown flag", word);
      if (row->type == SettingType::kSwitch) {
        Give(*row, "flag " + FlagName(*row), "true");
        continue;
      }
      if (i + 1 == word.size()) return GiveNextWord(*row, FlagName(*row));
      Give(*row, "flag " + FlagName(*row), std::string(word.substr(i + 1)));
      return {};
    }
    return {};
  }

  Status ReadPositional(const std::string& word) {
    for (const Setting& row : command_.settings) {
      const bool free = row.place == SettingPlace::kPositional && !given_.contains(row.name);
      if (!free && row.place != SettingPlace::kRest) continue;
      Give(row, "command line", word);
      return {};
    }
    return Misuse("unexpected word", word);
  }

  const Command& command_;
  std::vector<const Setting*> rows_;
  std::span<const std::string> words_;
  std::size_t next_ = 0;
  GivenValues given_;
};

std::vector<std::string> SplitAtCommas(std::string_view text) {
  std::vector<std::string> parts;
  for (;;) {
    const std::size_t comma = text.find(',');
    parts.emplace_back(text.substr(0, comma));
    if (comma == std::string_view::npos) return parts;
    text.remove_prefix(comma + 1);
  }
}

// nullptr if it is not set or empty.
const char* NonEmpty(const Environment& environment, const std::string& name) {
  const char* text = environment(name.c_str());
  return text == nullptr || *text == '\0' ? nullptr : text;
}

}  // namespace

Result<GivenValues> ReadWords(const Command& command, std::span<const std::string> words) {
  return WordReader(command, words).Read();
}

Result<GivenValues> ReadVariables(const Command& command, const Environment& environment) {
  GivenValues given;
  for (const Setting* row : AllRows(command)) {
    const bool steers = IsSteering(*row) && std::string_view(row->name) != "config";
    if (steers || row->place == SettingPlace::kRest) continue;
    const std::string name = VariableName(*row);
    if (row->type == SettingType::kSecret) {
      const std::string itself = name.substr(0, name.size() - std::string_view("_FILE").size());
      if (const char* secret = NonEmpty(environment, itself)) {
        given[row->name] = {{secret}, "variable " + itself, true};
        continue;
      }
    }
    const char* text = NonEmpty(environment, name);
    if (text == nullptr) continue;
    const bool is_list = row->type == SettingType::kTexts;
    given[row->name] = {is_list ? SplitAtCommas(text) : std::vector<std::string>{text},
                        "variable " + name, false};
  }
  return given;
}

}  // namespace bramble
