// A tokenizer as GGUF metadata has it: `tokenizer.ggml.*`.
#include <optional>
#include <string_view>
#include <utility>

#include "model/codec.h"
#include "model/files/quote.h"

namespace bramble::model {
namespace {

using files::Metadata;
using files::MetaValue;
using text::VocabularySpec;

constexpr std::size_t kMostTokens = std::size_t{1} << 21;
constexpr std::size_t kMostMerges = std::size_t{1} << 22;
constexpr std::size_t kMostCharsmap = std::size_t{16} << 20;

const MetaValue* Find(const Metadata& metadata, std::string_view name) {
  return files::FindValue(metadata, "tokenizer.ggml." + std::string(name));
}

Status In(std::string_view name, const Status& status) {
  return status.WithContext("metadata key 'tokenizer.ggml." + std::string(name) + "'");
}

Result<text::VocabularyKind> ReadKind(const Metadata& metadata) {
  const MetaValue* value = Find(metadata, "model");
  if (value == nullptr) return NotFound("the model has none");
  const std::string_view name = value->Text().value_or("");
  if (name == "gpt2") return text::VocabularyKind::kByteLevelBpe;
  if (name == "llama") return text::VocabularyKind::kSentencePieceBpe;
  if (name == "t5") return text::VocabularyKind::kSentencePieceUnigram;
  if (name == "bert") return text::VocabularyKind::kWordPiece;
  if (name == "no_vocab" || name == "none") return NotFound("the model has none");
  return Unimplemented("the kind ", value->ToText(), " is not known");
}

Status ReadTexts(const Metadata& metadata, std::string_view name, std::size_t limit,
                 std::vector<std::string>* texts) {
  const MetaValue* value = Find(metadata, name);
  if (value == nullptr) return {};
  const auto views = value->Texts(limit);
  RETURN_IF_ERROR(In(name, views.status()));
  texts->assign(views->begin(), views->end());
  return {};
}

Status ReadNumbers(const Metadata& metadata, std::string_view name, std::size_t limit,
                   std::vector<double>* numbers) {
  const MetaValue* value = Find(metadata, name);
  if (value == nullptr) return {};
  auto read = value->Numbers(limit);
  RETURN_IF_ERROR(In(name, read.status()));
  *numbers = *std::move(read);
  return {};
}

Status ReadFlag(const Metadata& metadata, std::string_view name, std::optional<bool>* flag) {
  const MetaValue* value = Find(metadata, name);
  if (value == nullptr) return {};
  *flag = value->Flag();
  return flag->has_value() ? Status()
                           : In(name, Invalid("it is ", value->ToText(), ", and must be a flag"));
}

Status ReadId(const Metadata& metadata, std::string_view name, std::optional<std::uint32_t>* id) {
  const MetaValue* value = Find(metadata, name);
  if (value == nullptr) return {};
  const auto whole = value->Whole();
  // -1 and 2^32 - 1 have been written for "none".
  if (whole && (*whole == -1 || *whole == 0xFFFFFFFF)) return {};
  if (!whole || *whole < 0 || *whole >= static_cast<std::int64_t>(kMostTokens)) {
    return In(name, Invalid("it is ", value->ToText(), ", which is no token's id"));
  }
  *id = static_cast<std::uint32_t>(*whole);
  return {};
}

Status ReadTypes(const Metadata& metadata, VocabularySpec* spec) {
  std::vector<double> types;
  RETURN_IF_ERROR(ReadNumbers(metadata, "token_type", kMostTokens, &types));
  for (const double type : types) {
    // 0 ("undefined") is what some converters write for ordinary tokens.
    if (!(type >= 0 && type <= 6)) {
      return In("token_type",
                Invalid("it has ", MetaValue{type}.ToText(), ", and types are 0 to 6"));
    }
    spec->types.push_back(type == 0 ? text::TokenType::kNormal
                                    : static_cast<text::TokenType>(static_cast<int>(type)));
  }
  return {};
}

Status ReadCharsmap(const Metadata& metadata, VocabularySpec* spec) {
  std::vector<double> bytes;
  RETURN_IF_ERROR(ReadNumbers(metadata, "precompiled_charsmap", kMostCharsmap, &bytes));
  for (const double byte : bytes) {
    if (!(byte >= -128 && byte <= 255))
      return In("precompiled_charsmap", Invalid("it has a value that is no byte"));
    spec->charsmap.push_back(static_cast<char>(static_cast<int>(byte)));
  }
  return {};
}

Status ReadIds(const Metadata& metadata, VocabularySpec* spec) {
  const std::pair<std::string_view, std::optional<std::uint32_t>*> ids[] = {
      {"bos_token_id", &spec->bos},
      {"eos_token_id", &spec->eos},
      {"unknown_token_id", &spec->unknown},
      {"padding_token_id", &spec->padding},
      {"eot_token_id", &spec->end_of_turn},
      {"eom_token_id", &spec->end_of_message},
      {"seperator_token_id", &spec->separator},  // as the format spells it
      {"cls_token_id", &spec->classification},
      {"mask_token_id", &spec->mask},
  };
  for (const auto& [name, id] : ids) RETURN_IF_ERROR(ReadId(metadata, name, id));
  return {};
}

}  // namespace

Result<VocabularySpec> ReadGgufVocabulary(const Metadata& metadata) {
  VocabularySpec spec;
  spec.gguf = true;
  ASSIGN_OR_RETURN(spec.kind, ReadKind(metadata));
  if (const MetaValue* pre = Find(metadata, "pre"))
    spec.pre = std::string(pre->Text().value_or(""));
  RETURN_IF_ERROR(ReadTexts(metadata, "tokens", kMostTokens, &spec.tokens));
  RETURN_IF_ERROR(ReadTexts(metadata, "merges", kMostMerges, &spec.merges));
  std::vector<double> scores;
  RETURN_IF_ERROR(ReadNumbers(metadata, "scores", kMostTokens, &scores));
  for (const double score : scores) spec.scores.push_back(static_cast<float>(score));
  RETURN_IF_ERROR(ReadTypes(metadata, &spec));
  RETURN_IF_ERROR(ReadCharsmap(metadata, &spec));
  RETURN_IF_ERROR(ReadFlag(metadata, "add_space_prefix", &spec.add_space_prefix));
  RETURN_IF_ERROR(ReadFlag(metadata, "remove_extra_whitespaces", &spec.remove_extra_spaces));
  RETURN_IF_ERROR(ReadFlag(metadata, "add_bos_token", &spec.add_bos));
  RETURN_IF_ERROR(ReadFlag(metadata, "add_eos_token", &spec.add_eos));
  RETURN_IF_ERROR(ReadIds(metadata, &spec));
  return spec;
}

Result<std::string> ReadGgufTemplate(const Metadata& metadata) {
  const MetaValue* value = files::FindValue(metadata, "tokenizer.chat_template");
  if (value == nullptr) return std::string();
  if (!value->Text()) return Invalid("metadata key 'tokenizer.chat_template' is no text");
  return std::string(*value->Text());
}

}  // namespace bramble::model
