#include "model/text/tokenizer_json.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "model/files/quote.h"
#include "model/text/checked_vocabulary.h"

namespace bramble::model::text {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMaxJsonBytes = std::size_t{128} << 20;

// Puts `token` at `id`. Ids may have holes, but a file cannot make us allocate much more than it
// holds itself.
Status Place(VocabularySpec& spec, const std::string& token, const Json& id, std::size_t count) {
  if (!id.is_number_unsigned())
    return Invalid("tokenizer.json: the id of ", files::Quote(token), " is not a number");
  const auto value = id.get<std::uint64_t>();
  if (value >= kMaxTokens || value > 2 * count + 4096) {
    return Invalid("tokenizer.json: the id of ", files::Quote(token), " is ", value,
                   ", too large for a vocabulary of ", count, " tokens");
  }
  if (value >= spec.tokens.size()) {
    spec.tokens.resize(value + 1);
    spec.types.resize(value + 1, TokenType::kUnused);
  }
  std::string& place = spec.tokens[value];
  if (!place.empty() && place != token) {
    return Invalid("tokenizer.json: ", files::Quote(place), " and ", files::Quote(token),
                   " have the same id ", value);
  }
  place = token;
  if (spec.types[value] == TokenType::kUnused) spec.types[value] = TokenType::kNormal;
  return {};
}

Status ReadVocabularyObject(const Json& model, VocabularySpec& spec) {
  const Json* vocab = Member(model, "vocab");
  if (vocab == nullptr || !vocab->is_object())
    return Invalid("tokenizer.json: model.vocab is not an object");
  for (const auto& [token, id] : vocab->items())
    RETURN_IF_ERROR(Place(spec, token, id, vocab->size()));
  return {};
}

Status ReadMerges(const Json& model, VocabularySpec& spec) {
  const Json* merges = Member(model, "merges");
  if (merges == nullptr || !merges->is_array())
    return Invalid("tokenizer.json: model.merges is not an array");
  spec.merges.reserve(merges->size());
  for (std::size_t i = 0; i < merges->size(); ++i) {
    const Json& merge = (*merges)[i];
    if (merge.is_string()) {
      spec.merges.push_back(merge.get<std::string>());
      continue;
    }
    if (!merge.is_array() || merge.size() != 2 || !merge[0].is_string() || !merge[1].is_string()) {
      return Invalid("tokenizer.json: merge ", i, " is neither a text nor a pair of texts");
    }
    const auto& left = merge[0].get_ref<const std::string&>();
    if (left.find(' ', 1) != std::string::npos) {
      return Unimplemented("tokenizer.json: merge ", i, " has a space inside of ",
                           files::Quote(left));
    }
    spec.merges.push_back(left + ' ' + merge[1].get_ref<const std::string&>());
  }
  return {};
}

void MarkBytes(VocabularySpec& spec) {
  for (std::size_t id = 0; id < spec.tokens.size(); ++id) {
    const std::string& token = spec.tokens[id];
    const bool is_byte = token.size() == 6 && token.starts_with("<0x") && token.back() == '>' &&
                         token.find_first_not_of("0123456789ABCDEF", 3) == 5;
    if (is_byte) spec.types[id] = TokenType::kByte;
  }
}

Status MarkUnknown(const Json& model, VocabularySpec& spec) {
  const std::string token = TextMember(model, "unk_token");
  if (token.empty()) return {};
  const auto found = std::find(spec.tokens.begin(), spec.tokens.end(), token);
  // Files exist whose unknown token is only among the added ones, or nowhere; then ReadAddedTokens
  // may find it.
  if (found == spec.tokens.end()) return {};
  const auto id = static_cast<std::uint32_t>(found - spec.tokens.begin());
  spec.unknown = id;
  spec.types[id] = TokenType::kUnknown;
  return {};
}

Status ReadBpe(const Json& root, const Json& model, VocabularySpec& spec) {
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    if (const std::string value = TextMember(model, key); !value.empty()) {
      return Unimplemented("tokenizer.json: model.", key, " is ", files::Quote(value),
                           "; only none is known");
    }
  }
  RETURN_IF_ERROR(ReadVocabularyObject(model, spec));
  RETURN_IF_ERROR(ReadMerges(model, spec));
  RETURN_IF_ERROR(MarkUnknown(model, spec));
  const bool byte_level = HasPreTokenizer(root, "ByteLevel");
  spec.kind = byte_level ? VocabularyKind::kByteLevelBpe : VocabularyKind::kSentencePieceBpe;
  spec.ignore_merges = FlagMember(model, "ignore_merges", false);
  if (!byte_level && FlagMember(model, "byte_fallback", false)) MarkBytes(spec);
  return {};
}

Status ReadUnigram(const Json& model, VocabularySpec& spec) {
  spec.kind = VocabularyKind::kSentencePieceUnigram;
  const Json* vocab = Member(model, "vocab");
  if (vocab == nullptr || !vocab->is_array())
    return Invalid("tokenizer.json: model.vocab is not an array");
  for (std::size_t i = 0; i < vocab->size(); ++i) {
    const Json& entry = (*vocab)[i];
    if (!entry.is_array() || entry.size() != 2 || !entry[0].is_string() || !entry[1].is_number()) {
      return Invalid("tokenizer.json: model.vocab[", i, "] is not a text and its score");
    }
    spec.tokens.push_back(entry[0].get<std::string>());
    spec.scores.push_back(entry[1].get<float>());
  }
  spec.types.assign(spec.tokens.size(), TokenType::kNormal);
  const Json* unknown = Member(model, "unk_id");
  if (unknown != nullptr) {
    if (!unknown->is_number_unsigned() || unknown->get<std::uint64_t>() >= spec.tokens.size()) {
      return Invalid("tokenizer.json: model.unk_id is not the id of one of the ",
                     spec.tokens.size(), " tokens");
    }
    spec.unknown = unknown->get<std::uint32_t>();
    spec.types[*spec.unknown] = TokenType::kUnknown;
  }
  if (FlagMember(model, "byte_fallback", false)) MarkBytes(spec);
  return {};
}

Status ReadWordPiece(const Json& model, VocabularySpec& spec) {
  spec.kind = VocabularyKind::kWordPiece;
  RETURN_IF_ERROR(ReadVocabularyObject(model, spec));
  RETURN_IF_ERROR(MarkUnknown(model, spec));
  spec.word_piece.continuation = TextMember(model, "continuing_subword_prefix");
  if (const Json* most = Member(model, "max_input_chars_per_word"); most != nullptr) {
    if (!most->is_number_unsigned() || most->get<std::uint64_t>() > 0xffffffff) {
      return Invalid("tokenizer.json: model.max_input_chars_per_word is not a number");
    }
    spec.word_piece.max_word_letters = most->get<std::uint32_t>();
  }
  return {};
}

Status ReadAddedTokens(const Json& root, const Json& model, VocabularySpec& spec) {
  const Json* added = Member(root, "added_tokens");
  if (added == nullptr) return {};
  if (!added->is_array()) return Invalid("tokenizer.json: added_tokens is not an array");
  const std::size_t count = spec.tokens.size() + added->size();
  for (std::size_t i = 0; i < added->size(); ++i) {
    const Json& entry = (*added)[i];
    const std::string content = TextMember(entry, "content");
    const Json* id = Member(entry, "id");
    if (content.empty() || id == nullptr)
      return Invalid("tokenizer.json: added_tokens[", i, "] has no content or id");
    RETURN_IF_ERROR(Place(spec, content, *id, count));
    const auto value = id->get<std::uint32_t>();
    const bool special = FlagMember(entry, "special", false);
    if (spec.types[value] != TokenType::kUnknown) {
      spec.types[value] = special ? TokenType::kControl : TokenType::kUserDefined;
    }
    const AddedTokenFlags flags{FlagMember(entry, "lstrip", false),
                                FlagMember(entry, "rstrip", false),
                                FlagMember(entry, "single_word", false)};
    if (flags.strip_left || flags.strip_right || flags.single_word) spec.flags[value] = flags;
  }
  if (!spec.scores.empty()) spec.scores.resize(spec.tokens.size(), 0.0F);
  if (!spec.unknown.has_value()) return MarkUnknown(model, spec);
  return {};
}

// Files of older versions do not name the type of the model.
std::string TypeOfModel(const Json& model) {
  if (std::string type = TextMember(model, "type"); !type.empty()) return type;
  if (Member(model, "merges") != nullptr) return "BPE";
  const Json* vocab = Member(model, "vocab");
  if (vocab != nullptr && vocab->is_array()) return "Unigram";
  return Member(model, "max_input_chars_per_word") != nullptr ? "WordPiece" : "";
}

}  // namespace

const Json* Member(const Json& object, const char* key) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

std::string TextMember(const Json& object, const char* key) {
  const Json* member = Member(object, key);
  return member != nullptr && member->is_string() ? member->get<std::string>() : std::string();
}

bool FlagMember(const Json& object, const char* key, bool if_missing) {
  const Json* member = Member(object, key);
  return member != nullptr && member->is_boolean() ? member->get<bool>() : if_missing;
}

Status ReadTokens(const Json& root, VocabularySpec& spec) {
  const Json* model = Member(root, "model");
  if (model == nullptr) return Invalid("tokenizer.json has no model");
  const std::string type = TypeOfModel(*model);
  if (type == "BPE") {
    RETURN_IF_ERROR(ReadBpe(root, *model, spec));
  } else if (type == "Unigram") {
    RETURN_IF_ERROR(ReadUnigram(*model, spec));
  } else if (type == "WordPiece") {
    RETURN_IF_ERROR(ReadWordPiece(*model, spec));
  } else {
    return Unimplemented("tokenizer.json: the model type ", files::Quote(type),
                         " is not known; known are BPE, Unigram and WordPiece");
  }
  return ReadAddedTokens(root, *model, spec);
}

Result<VocabularySpec> ReadTokenizerJson(std::string_view json) {
  if (json.size() > kMaxJsonBytes) {
    return Invalid("tokenizer.json has ", json.size(), " bytes, at most ", kMaxJsonBytes,
                   " are allowed");
  }
  const Json root = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (!root.is_object()) return Invalid("tokenizer.json is not a JSON object");
  VocabularySpec spec;
  RETURN_IF_ERROR(ReadTokens(root, spec));
  RETURN_IF_ERROR(ReadRules(root, spec));
  return spec;
}

}  // namespace bramble::model::text
