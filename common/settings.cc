#include "common/settings.h"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <system_error>

#include "common/check.h"
#include "common/escape.h"
#include "common/files.h"
#include "common/log.h"
#include "common/manual.h"
#include "common/settings_sources.h"

namespace bramble {
namespace {

constexpr std::size_t kLargestSecret = 65536;

Result<std::string> ReadStandardInput() {
  std::string content;
  std::array<char, 4096> part{};
  for (;;) {
    const ssize_t got = ::read(0, part.data(), part.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0)
      return Failed("cannot read standard input: ", std::generic_category().message(errno));
    if (got == 0) return content;
    content.append(part.data(), static_cast<std::size_t>(got));
    if (content.size() > kLargestSecret)
      return Exhausted("more than ", kLargestSecret, " bytes on standard input");
  }
}

// The content without the white space at its end.
Result<std::string> ReadSecret(const std::string& path) {
  ASSIGN_OR_RETURN(std::string secret,
                   path == "-" ? ReadStandardInput() : ReadSmallFile(path, kLargestSecret));
  while (!secret.empty() &&
         (secret.back() == '\n' || secret.back() == '\r' || secret.back() == ' '))
    secret.pop_back();
  if (secret.empty()) return Invalid("'", Printable(path), "' is empty");
  return secret;
}

Result<bool> ParseSwitch(std::string_view text, std::string_view what) {
  if (text == "true" || text == "1" || text == "yes" || text == "on") return true;
  if (text == "false" || text == "0" || text == "no" || text == "off") return false;
  return Invalid(what, " '", Printable(text), "' is neither true nor false");
}

Status CheckChoice(std::string_view text, const Setting& row, std::string_view what) {
  std::string_view choices = row.choices;
  while (!choices.empty()) {
    const std::size_t bar = choices.find('|');
    if (choices.substr(0, bar) == text) return {};
    choices.remove_prefix(bar == std::string_view::npos ? choices.size() : bar + 1);
  }
  return Invalid(what, " '", Printable(text), "' is none of ", row.choices);
}

Status CheckRange(std::int64_t value, const Setting& row, std::string_view what) {
  if (value < row.minimum) return Invalid(what, " is ", value, ", less than ", row.minimum);
  if (value > row.maximum) return Invalid(what, " is ", value, ", more than ", row.maximum);
  return {};
}

}  // namespace

// Fills a Settings from what the sources gave. Of the same row the first source that is added
// counts.
class SettingsReader {
 public:
  explicit SettingsReader(const Command& command) : rows_(AllRows(command)) {
    for (const Setting* row : rows_) settings_.values_[row->name].type = row->type;
  }

  Status Add(const GivenValues& given) {
    for (const auto& [name, value] : given) RETURN_IF_ERROR(Set(name, value));
    return {};
  }

  Status AddDefaults() {
    for (const Setting* row : rows_) {
      if (row->fallback != nullptr)
        RETURN_IF_ERROR(Set(row->name, {{row->fallback}, "default", false}));
    }
    return {};
  }

  Status CheckRequired() const {
    for (const Setting* row : rows_) {
      if (!row->required || settings_.Has(row->name)) continue;
      if (row->place == SettingPlace::kFlag) {
        return Invalid("the setting ", row->name, " is missing: give ", FlagName(*row), " ",
                       ValueName(*row), ", ", VariableName(*row), " or the key ", KeyName(*row),
                       " of the settings file");
      }
      return Invalid("the argument ", ValueName(*row), " is missing: ", row->help);
    }
    return {};
  }

  // Before the secrets are read: --print-config needs none of them.
  std::string Print() const {
    std::string text;
    for (const Setting* row : rows_) {
      if (IsSteering(*row)) continue;
      const Settings::Value& value = settings_.values_.find(row->name)->second;
      const bool hidden = row->type == SettingType::kSecret && value.written.empty();
      if (value.set && !hidden) {
        text += ConfigLine(*row, value.written);
      } else {
        text += "# " + KeyName(*row) + ":" + (value.set ? " (hidden)" : "");
      }
      text += "  # " + value.origin + "\n";
    }
    return text;
  }

  Settings Take() { return std::move(settings_); }
  const Settings& settings() const { return settings_; }

 private:
  Status Set(const std::string& name, const GivenValue& given) {
    Settings::Value& value = settings_.values_[name];
    if (value.set) return {};
    for (const Setting* row : rows_) {
      if (name == row->name) RETURN_IF_ERROR(Convert(*row, given, &value));
    }
    value.set = true;
    value.origin = given.origin;
    return {};
  }

  static Status Convert(const Setting& row, const GivenValue& given, Settings::Value* value) {
    const std::string what = given.origin;
    value->written = given.texts;
    if (row.type == SettingType::kTexts) {
      value->texts = given.texts;
      return {};
    }
    CHECK(given.texts.size() == 1);
    const std::string& text = given.texts[0];
    switch (row.type) {
      case SettingType::kInteger: {
        ASSIGN_OR_RETURN(value->integer, ParseInteger(text, what));
        return CheckRange(value->integer, row, what);
      }
      case SettingType::kNumber: {
        ASSIGN_OR_RETURN(value->number, ParseNumber(text, what));
        return {};
      }
      case SettingType::kSize: {
        ASSIGN_OR_RETURN(value->size, ParseSize(text, what));
        return {};
      }
      case SettingType::kDuration: {
        ASSIGN_OR_RETURN(const auto duration, ParseDuration(text, what));
        value->integer = duration.count();
        return {};
      }
      case SettingType::kSwitch: {
        ASSIGN_OR_RETURN(value->integer, ParseSwitch(text, what));
        return {};
      }
      case SettingType::kChoice:
        value->text = text;
        return CheckChoice(text, row, what);
      case SettingType::kSecret:
        return ConvertSecret(given, value);
      case SettingType::kText:
      case SettingType::kTexts:
        value->text = text;
    }
    return {};
  }

  static Status ConvertSecret(const GivenValue& given, Settings::Value* value) {
    if (given.is_secret) {
      value->text = given.texts[0];
      value->written.clear();
      return {};
    }
    auto secret = ReadSecret(given.texts[0]);
    if (!secret.ok()) return secret.status().WithContext(given.origin);
    value->text = *std::move(secret);
    return {};
  }

  std::vector<const Setting*> rows_;
  Settings settings_;
};

const Settings::Value& Settings::Find(std::string_view name,
                                      std::initializer_list<SettingType> types) const {
  const auto found = values_.find(name);
  CHECK(found != values_.end());
  for (const SettingType type : types) {
    if (found->second.type == type) return found->second;
  }
  CHECK(types.size() == 0);
  return found->second;
}

bool Settings::Has(std::string_view name) const { return Find(name, {}).set; }

const std::string& Settings::Text(std::string_view name) const {
  const Value& value = Find(name, {SettingType::kText, SettingType::kChoice, SettingType::kSecret});
  CHECK(value.set);
  return value.text;
}

std::string Settings::TextOr(std::string_view name, std::string_view fallback) const {
  return Has(name) ? Text(name) : std::string(fallback);
}

const std::vector<std::string>& Settings::Texts(std::string_view name) const {
  return Find(name, {SettingType::kTexts}).texts;
}

std::int64_t Settings::Integer(std::string_view name) const {
  const Value& value = Find(name, {SettingType::kInteger});
  CHECK(value.set);
  return value.integer;
}

double Settings::Number(std::string_view name) const {
  const Value& value = Find(name, {SettingType::kNumber});
  CHECK(value.set);
  return value.number;
}

std::uint64_t Settings::Size(std::string_view name) const {
  const Value& value = Find(name, {SettingType::kSize});
  CHECK(value.set);
  return value.size;
}

std::chrono::milliseconds Settings::Duration(std::string_view name) const {
  const Value& value = Find(name, {SettingType::kDuration});
  CHECK(value.set);
  return std::chrono::milliseconds(value.integer);
}

bool Settings::Switch(std::string_view name) const {
  return Find(name, {SettingType::kSwitch}).integer != 0;
}

const std::string& Settings::Origin(std::string_view name) const { return Find(name, {}).origin; }

const char* ProcessEnvironment(const char* name) { return std::getenv(name); }

namespace {

ParsedCommand Ended(int exit_code, std::string output) {
  ParsedCommand ended;
  ended.exit_code = exit_code;
  ended.output = std::move(output);
  return ended;
}

ParsedCommand Misused(const Command& command, int exit_code, const Status& status) {
  return Ended(exit_code,
               std::string(command.name) + ": " + status.message() + "\n" +
                   (exit_code == 2 ? "See " + std::string(command.name) + " --help\n" : ""));
}

// Values of the settings file, if one was named or the default one is there.
Result<GivenValues> ReadNamedFile(const Command& command, const ParseOptions& options,
                                  const Settings& settings) {
  if (settings.Has("config"))
    return ReadSettingsFile(command, options.family, settings.Text("config"));
  if (options.default_file == nullptr) return GivenValues();
  auto values = ReadSettingsFile(command, options.family, options.default_file);
  if (!values.ok() && values.status().code() == Code::kNotFound) return GivenValues();
  return values;
}

}  // namespace

ParsedCommand ParseCommand(const Command& command, std::span<const std::string> words,
                           const ParseOptions& options, const Environment& environment) {
  // For who builds packages: no row, so that no verb's help has it.
  if (words.size() == 1 && words[0] == "--print-manual" && options.default_file != nullptr)
    return Ended(0, ManualPage(command, options.default_file));
  const auto from_words = ReadWords(command, words);
  if (!from_words.ok()) return Misused(command, 2, from_words.status());
  if (from_words->contains("help")) return Ended(0, HelpText(command));
  if (from_words->contains("version"))
    return Ended(0, std::string(command.name) + " " + options.version + "\n");
  SettingsReader reader(command);
  if (const Status added = reader.Add(*from_words); !added.ok()) return Misused(command, 2, added);
  const int bad = options.bad_configuration_code;
  const auto from_variables = ReadVariables(command, environment);
  if (!from_variables.ok()) return Misused(command, bad, from_variables.status());
  if (const Status added = reader.Add(*from_variables); !added.ok())
    return Misused(command, bad, added);
  const auto from_file = ReadNamedFile(command, options, reader.settings());
  if (!from_file.ok()) return Misused(command, bad, from_file.status());
  if (const Status added = reader.Add(*from_file); !added.ok()) return Misused(command, bad, added);
  const Status defaults = reader.AddDefaults();
  CHECK(defaults.ok());
  if (reader.settings().Switch("print-config")) return Ended(0, reader.Print());
  if (const Status complete = reader.CheckRequired(); !complete.ok())
    return Misused(command, bad, complete);
  ParsedCommand parsed;
  parsed.settings = reader.Take();
  return parsed;
}

int FinishCommand(const ParsedCommand& parsed) {
  CHECK(parsed.exit_code.has_value());
  std::fputs(parsed.output.c_str(), *parsed.exit_code == 0 ? stdout : stderr);
  return *parsed.exit_code;
}

void StartLogFrom(const Settings& settings, const std::string& logger, LogLevel usual) {
  LogOptions options;
  options.logger = logger;
  options.format = DefaultLogFormat();
  // Both were checked against the row's choices when they were read.
  const bool said = settings.Origin("log-level") != "default";
  options.level = said ? *ParseLogLevel(settings.Text("log-level")) : usual;
  if (settings.Has("log-format")) options.format = *ParseLogFormat(settings.Text("log-format"));
  StartLog(options);
}

}  // namespace bramble
