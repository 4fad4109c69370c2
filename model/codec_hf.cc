// A tokenizer as it lies beside config.json.
#include <algorithm>
#include <filesystem>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include "model/codec.h"
#include "model/files/json.h"
#include "model/files/quote.h"

namespace bramble::model {
namespace {

using files::Metadata;
using files::MetaValue;
using text::VocabularySpec;

constexpr std::size_t kMostTokenizerBytes = std::size_t{256} << 20;
constexpr std::size_t kMostSettingsBytes = std::size_t{32} << 20;
constexpr std::size_t kMostSettings = std::size_t{1} << 18;
constexpr std::size_t kMostTemplateBytes = std::size_t{1} << 20;
constexpr std::size_t kMostEndIds = 64;

std::string Beside(const files::ModelFiles& model, const char* name) {
  return model.path + "/" + name;
}

bool Exists(const std::string& path) {
  std::error_code error;
  return std::filesystem::exists(path, error);
}

// The settings of a JSON file beside the model; empty if there is none.
Result<Metadata> ReadSettings(const std::string& path) {
  if (!Exists(path)) return Metadata();
  ASSIGN_OR_RETURN(const std::string text, files::ReadText(path, kMostSettingsBytes));
  auto settings = files::ReadJson(text, kMostSettings);
  if (!settings.ok()) return settings.status().WithContext(files::QuotePath(path));
  return settings;
}

// A special token of tokenizer_config.json: its spelling, or an object with it.
std::optional<std::uint32_t> FindToken(const Metadata& settings, const std::string& name,
                                       const VocabularySpec& spec) {
  const MetaValue* value = files::FindValue(settings, name);
  if (value == nullptr) value = files::FindValue(settings, name + ".content");
  if (value == nullptr || !value->Text()) return {};
  const auto found = std::find(spec.tokens.begin(), spec.tokens.end(), *value->Text());
  if (found == spec.tokens.end()) return {};
  return static_cast<std::uint32_t>(found - spec.tokens.begin());
}

// `eos_token_id` and its kin: a number or a list of numbers. Those that are tokens.
std::vector<std::uint32_t> FindIds(const Metadata& settings, const std::string& name,
                                   const VocabularySpec& spec) {
  const MetaValue* value = files::FindValue(settings, name);
  if (value == nullptr) return {};
  std::vector<double> numbers;
  if (const auto whole = value->Whole()) numbers.push_back(static_cast<double>(*whole));
  if (auto list = value->Numbers(kMostEndIds); list.ok()) numbers = *std::move(list);
  std::vector<std::uint32_t> ids;
  for (const double number : numbers) {
    const auto whole = MetaValue{number}.Whole();
    if (whole && *whole >= 0 && static_cast<std::uint64_t>(*whole) < spec.tokens.size()) {
      ids.push_back(static_cast<std::uint32_t>(*whole));
    }
  }
  return ids;
}

void SetId(const Metadata& settings, const Metadata& config, const std::string& token,
           VocabularySpec* spec, std::optional<std::uint32_t>* id) {
  if (!id->has_value()) *id = FindToken(settings, token, *spec);
  const std::vector<std::uint32_t> ids = FindIds(config, token + "_id", *spec);
  if (!id->has_value() && !ids.empty()) *id = ids.front();
}

// Models that end turns with tokens of their own list them all in generation_config.json.
void SetEndIds(const Metadata& generation, VocabularySpec* spec) {
  for (const std::uint32_t id : FindIds(generation, "eos_token_id", *spec)) {
    if (spec->eos == id || spec->end_of_turn == id) continue;
    if (!spec->eos) {
      spec->eos = id;
    } else if (!spec->end_of_turn) {
      spec->end_of_turn = id;
    } else if (!spec->end_of_message) {
      spec->end_of_message = id;
    }
  }
}

Result<VocabularySpec> ReadSpec(const files::ModelFiles& model) {
  const std::string json = Beside(model, "tokenizer.json");
  if (Exists(json)) {
    ASSIGN_OR_RETURN(const std::string text, files::ReadText(json, kMostTokenizerBytes));
    auto spec = text::ReadTokenizerJson(text);
    if (!spec.ok()) return spec.status().WithContext(files::QuotePath(json));
    return spec;
  }
  for (const char* name : {"tokenizer.model", "spiece.model"}) {
    const std::string path = Beside(model, name);
    if (!Exists(path)) continue;
    ASSIGN_OR_RETURN(const auto map, files::MappedFile::Open(path));
    auto spec = text::ReadSentencePieceModel(map->bytes());
    if (!spec.ok()) return spec.status().WithContext(files::QuotePath(path));
    return spec;
  }
  return NotFound("there is neither tokenizer.json nor tokenizer.model");
}

}  // namespace

Result<VocabularySpec> ReadHfVocabulary(const files::ModelFiles& model) {
  ASSIGN_OR_RETURN(VocabularySpec spec, ReadSpec(model));
  ASSIGN_OR_RETURN(const Metadata settings, ReadSettings(Beside(model, "tokenizer_config.json")));
  SetId(settings, model.metadata, "bos_token", &spec, &spec.bos);
  SetId(settings, model.metadata, "eos_token", &spec, &spec.eos);
  SetId(settings, model.metadata, "unk_token", &spec, &spec.unknown);
  SetId(settings, model.metadata, "pad_token", &spec, &spec.padding);
  ASSIGN_OR_RETURN(const Metadata generation,
                   ReadSettings(Beside(model, "generation_config.json")));
  SetEndIds(generation, &spec);
  const std::pair<const char*, std::optional<bool>*> flags[] = {{"add_bos_token", &spec.add_bos},
                                                                {"add_eos_token", &spec.add_eos}};
  for (const auto& [name, flag] : flags) {
    const MetaValue* value = files::FindValue(settings, name);
    if (value != nullptr && !flag->has_value()) *flag = value->Flag();
  }
  return spec;
}

Result<std::string> ReadHfTemplate(const files::ModelFiles& model) {
  const std::string path = Beside(model, "chat_template.jinja");
  if (Exists(path)) return files::ReadText(path, kMostTemplateBytes);
  ASSIGN_OR_RETURN(const Metadata settings, ReadSettings(Beside(model, "tokenizer_config.json")));
  const MetaValue* value = files::FindValue(settings, "chat_template");
  if (value == nullptr) return std::string();
  if (value->Text()) return std::string(*value->Text());
  return Unimplemented("tokenizer_config.json has several, and none can be chosen yet");
}

}  // namespace bramble::model
