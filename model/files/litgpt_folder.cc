#include "model/files/litgpt_folder.h"

#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <utility>

#include "model/files/json.h"
#include "model/files/quote.h"
#include "model/files/shards.h"

namespace bramble::model::files {
namespace {

constexpr std::size_t kMostSettingsBytes = std::size_t{1} << 20;
constexpr std::size_t kMostSettings = 4096;
constexpr char kWeightsName[] = "lit_model.pth";
constexpr char kYamlName[] = "model_config.yaml";
constexpr char kJsonName[] = "lit_config.json";

bool Exists(const std::string& path) {
  std::error_code error;
  return std::filesystem::exists(path, error);
}

// A plain scalar: null, a flag, a number, or a text, which may be quoted.
MetaValue ReadScalar(std::string_view text) {
  if (text.empty() || text == "null" || text == "~") return {};
  if (text == "true" || text == "false") return {text == "true"};
  if (text.size() >= 2 && text.front() == text.back() && (text[0] == '"' || text[0] == '\'')) {
    return {std::string(text.substr(1, text.size() - 2))};
  }
  const std::string copy(text);
  char* end = nullptr;
  if (copy.find_first_of(".eEnN") == std::string::npos) {
    const long long whole = std::strtoll(copy.c_str(), &end, 10);
    if (*end == '\0') return {static_cast<std::int64_t>(whole)};
  }
  const double real = std::strtod(copy.c_str(), &end);
  if (*end == '\0') return {real};
  return {copy};
}

std::string_view Trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return "";
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

Result<Metadata> ReadSettings(const std::string& folder) {
  const bool yaml = Exists(folder + "/" + kYamlName);
  const std::string path = folder + "/" + (yaml ? kYamlName : kJsonName);
  if (!Exists(path)) {
    return NotFound(QuotePath(folder), ": there is neither ", kYamlName, " nor ", kJsonName,
                    " beside ", kWeightsName);
  }
  ASSIGN_OR_RETURN(const std::string text, ReadText(path, kMostSettingsBytes));
  auto settings = yaml ? ReadFlatYaml(text) : ReadJson(text, kMostSettings);
  if (!settings.ok()) return settings.status().WithContext(QuotePath(path));
  return settings;
}

}  // namespace

Result<Metadata> ReadFlatYaml(std::string_view text) {
  Metadata settings;
  std::size_t number = 0;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    ++number;
    const std::string_view words = Trimmed(line);
    if (words.empty() || words[0] == '#' || words[0] == '-' || line[0] == ' ') continue;
    const std::size_t colon = words.find(':');
    if (colon == 0 || colon == std::string_view::npos) {
      return Invalid("line ", number, " is no 'key: value': ", Quote(words));
    }
    if (settings.size() >= kMostSettings) return Exhausted("more than ", kMostSettings, " keys");
    const std::string key(words.substr(0, colon));
    if (!settings.emplace(key, ReadScalar(Trimmed(words.substr(colon + 1)))).second) {
      return Invalid("line ", number, ": the key ", Quote(key), " stands there twice");
    }
  }
  return settings;
}

bool IsLitGptFolder(const std::string& folder) { return Exists(folder + "/" + kWeightsName); }

Result<ModelFiles> OpenLitGptFolder(const std::string& folder) {
  ModelFiles files;
  files.dialect = Dialect::kHuggingFace;
  files.path = folder;
  files.container = "PyTorch of LitGPT";
  ASSIGN_OR_RETURN(Metadata settings, ReadSettings(folder));
  RETURN_IF_ERROR(AddFile(folder + "/" + kWeightsName, ReadPytorchFile, &files));
  RETURN_IF_ERROR(files.tensors.Seal().WithContext(QuotePath(folder)));
  settings.insert_or_assign("model_type", MetaValue{std::string("litgpt")});
  // The tables have rows of padding, which is what a vocabulary's size means everywhere else.
  settings.erase("vocab_size");
  if (const MetaValue* padded = FindValue(settings, "padded_vocab_size")) {
    settings.emplace("vocab_size", *padded);
  }
  files.metadata = std::move(settings);
  return files;
}

}  // namespace bramble::model::files
