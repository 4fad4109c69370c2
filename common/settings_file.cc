// Settings from a YAML file: one mapping of keys to plain values (or lists, for settings that are
// lists).
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <set>

#include "common/escape.h"
#include "common/files.h"
#include "common/settings_sources.h"

namespace bramble {
namespace {

constexpr std::size_t kLargestFile = 1 << 20;

// Reads the parsed tree. Every error begins with "FILE:LINE: ".
class FileReader {
 public:
  FileReader(const Command& command, std::span<const Command> family, const std::string& path)
      : rows_(AllRows(command)), path_(path) {
    for (const Command& other : family) {
      for (const Setting* row : AllRows(other)) {
        if (!IsSteering(*row)) others_.insert(KeyName(*row));
      }
    }
  }

  Result<GivenValues> Read(const YAML::Node& root) {
    if (root.IsNull()) return std::move(given_);
    if (!root.IsMap()) return Wrong(root, "the settings are not lines of the form 'key: value'");
    for (const auto& entry : root) RETURN_IF_ERROR(ReadEntry(entry.first, entry.second));
    return std::move(given_);
  }

  Status Wrong(const YAML::Mark& mark, std::string_view what) const {
    return Invalid(Printable(path_), ":", mark.line + 1, ": ", what);
  }

 private:
  Status Wrong(const YAML::Node& node, std::string_view what) const {
    return Wrong(node.Mark(), what);
  }

  Status ReadEntry(const YAML::Node& key, const YAML::Node& value) {
    if (!key.IsScalar()) return Wrong(key, "a key that is not a plain word");
    const std::string& name = key.Scalar();
    if (!seen_.insert(name).second)
      return Wrong(key, "the key '" + Printable(name) + "' stands here a second time");
    const Setting* row = Find(name);
    if (row == nullptr) return others_.contains(name) ? Status() : Unknown(key, name);
    GivenValue read;
    read.origin = "file " + Printable(path_) + " line " + std::to_string(key.Mark().line + 1);
    if (value.IsSequence() && row->type == SettingType::kTexts) {
      for (const YAML::Node& part : value) {
        if (!part.IsScalar())
          return Wrong(part, "a part of '" + name + "' that is not a plain value");
        read.texts.push_back(part.Scalar());
      }
    } else if (value.IsScalar()) {
      read.texts.push_back(value.Scalar());
    } else {
      return Wrong(key, "the key '" + name + "' has no plain value" +
                            (row->type == SettingType::kTexts ? " and no list" : ""));
    }
    for (const std::string& text : read.texts) {
      if (text.find('\0') != std::string::npos) return Wrong(key, "a zero byte in '" + name + "'");
    }
    given_[row->name] = std::move(read);
    return {};
  }

  const Setting* Find(std::string_view key) const {
    for (const Setting* row : rows_) {
      if (!IsSteering(*row) && row->place != SettingPlace::kRest && KeyName(*row) == key)
        return row;
    }
    return nullptr;
  }

  Status Unknown(const YAML::Node& key, const std::string& name) const {
    std::vector<std::string> known(others_.begin(), others_.end());
    for (const Setting* row : rows_) {
      if (!IsSteering(*row)) known.push_back(KeyName(*row));
    }
    return Wrong(key, "unknown key '" + Printable(name) + "'" + Suggestion(name, known));
  }

  std::vector<const Setting*> rows_;
  std::string path_;
  std::set<std::string, std::less<>> others_;
  std::set<std::string> seen_;
  GivenValues given_;
};

bool IsPlainYaml(std::string_view text) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-";
  return !text.empty() && text.front() != '-' && text.back() != ':' &&
         text.find_first_not_of(std::string(kPlain) + ":") == std::string_view::npos;
}

std::string YamlText(std::string_view text) {
  if (IsPlainYaml(text)) return std::string(text);
  std::string quoted(1, '"');
  quoted += JsonEscaped(text, text.size() * 8 + 8);  // YAML's double quotes take JSON's escapes
  quoted += '"';
  return quoted;
}

}  // namespace

Result<GivenValues> ReadSettingsFile(const Command& command, std::span<const Command> family,
                                     const std::string& path) {
  ASSIGN_OR_RETURN(const std::string content, ReadSmallFile(path, kLargestFile));
  FileReader reader(command, family, path);
  try {
    const std::vector<YAML::Node> documents = YAML::LoadAll(content);
    if (documents.empty()) return GivenValues();
    if (documents.size() > 1)
      return Invalid(Printable(path), ": more than one YAML document in the file");
    return reader.Read(documents[0]);
  } catch (const YAML::Exception& error) {
    return reader.Wrong(error.mark, "not YAML: " + Printable(error.msg));
  }
}

std::string ConfigLine(const Setting& row, const std::vector<std::string>& texts) {
  std::string line = KeyName(row) + ": ";
  if (row.type != SettingType::kTexts) return line + YamlText(texts[0]);
  line += '[';
  for (std::size_t i = 0; i < texts.size(); ++i) line += (i > 0 ? ", " : "") + YamlText(texts[i]);
  return line + "]";
}

}  // namespace bramble
