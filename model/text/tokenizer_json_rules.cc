#include <array>
#include <utility>

#include "model/files/quote.h"
#include "model/text/checked_vocabulary.h"
#include "model/text/pre_tokenizers.h"
#include "model/text/tokenizer_json.h"

namespace bramble::model::text {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMaxRules = 256;  // in all sequences together, and how deep they may lie

bool IsSentencePiece(const VocabularySpec& spec) {
  return spec.kind == VocabularyKind::kSentencePieceBpe ||
         spec.kind == VocabularyKind::kSentencePieceUnigram;
}

// The rules of a part of the file, sequences laid flat, in order. `list`: the key under which a
// sequence has them.
Result<std::vector<const Json*>> Flatten(const Json& root, const char* part, const char* list) {
  std::vector<const Json*> rules;
  const Json* top = Member(root, part);
  std::vector<const Json*> pending;
  if (top != nullptr) pending.push_back(top);
  std::size_t seen = 0;
  while (!pending.empty()) {
    if (++seen > kMaxRules)
      return Invalid("tokenizer.json: ", part, " has more than ", kMaxRules, " rules");
    const Json* rule = pending.back();
    pending.pop_back();
    if (TextMember(*rule, "type") != "Sequence") {
      rules.push_back(rule);
      continue;
    }
    const Json* children = Member(*rule, list);
    if (children == nullptr || !children->is_array() || children->size() > kMaxRules) {
      return Invalid("tokenizer.json: a sequence of ", part, " has no list ", list, " of at most ",
                     kMaxRules);
    }
    for (auto child = children->rbegin(); child != children->rend(); ++child)
      pending.push_back(&*child);
  }
  return rules;
}

Status Unknown(const char* part, const Json& rule) {
  return Unimplemented("tokenizer.json: the ", part, " ",
                       files::Quote(rule.dump(-1, ' ', false, Json::error_handler_t::replace)),
                       " is not known for this kind of model");
}

Result<std::string> FromBase64(std::string_view text) {
  std::array<int, 256> values{};
  values.fill(-1);
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (std::size_t i = 0; i < kDigits.size(); ++i)
    values[static_cast<unsigned char>(kDigits[i])] = static_cast<int>(i);
  while (text.ends_with('=')) text.remove_suffix(1);
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3 + 2);
  unsigned held = 0;
  unsigned bits = 0;
  for (const char digit : text) {
    const int value = values[static_cast<unsigned char>(digit)];
    if (value < 0) return Invalid("tokenizer.json: the precompiled charsmap is not base64");
    held = (held << 6U | static_cast<unsigned>(value)) & 0xffffU;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes += static_cast<char>(held >> bits & 0xffU);
    }
  }
  return bytes;
}

// Replace: spaces by U+2581, which SentencePiece kinds do anyway; runs of spaces by one.
bool ReadReplace(const Json& rule, VocabularySpec& spec) {
  const Json* pattern = Member(rule, "pattern");
  if (pattern == nullptr || !IsSentencePiece(spec)) return false;
  const std::string content = TextMember(rule, "content");
  const bool space = content == " " || content == kSpaceMark;
  if (TextMember(*pattern, "String") == " " && content == kSpaceMark) return true;
  if (TextMember(*pattern, "Regex") != " {2,}" || !space) return false;
  spec.remove_extra_spaces = true;
  return true;
}

Status ReadBertNormalizer(const Json& rule, VocabularySpec& spec) {
  WordPieceRules& rules = spec.word_piece;
  rules.clean_text = FlagMember(rule, "clean_text", true);
  rules.separate_chinese = FlagMember(rule, "handle_chinese_chars", true);
  rules.lowercase = FlagMember(rule, "lowercase", true);
  rules.strip_accents = FlagMember(rule, "strip_accents", rules.lowercase);
  return {};
}

Status ReadNormalizer(const Json& rule, VocabularySpec& spec) {
  constexpr std::pair<std::string_view, UnicodeForm> kForms[] = {{"NFC", UnicodeForm::kNfc},
                                                                 {"NFD", UnicodeForm::kNfd},
                                                                 {"NFKC", UnicodeForm::kNfkc},
                                                                 {"NFKD", UnicodeForm::kNfkd}};
  const std::string type = TextMember(rule, "type");
  const bool word_piece = spec.kind == VocabularyKind::kWordPiece;
  for (const auto& [name, form] : kForms) {
    if (type != name || word_piece || spec.unicode_form != UnicodeForm::kNone) continue;
    spec.unicode_form = form;
    return {};
  }
  if (type == "BertNormalizer" && word_piece) return ReadBertNormalizer(rule, spec);
  if (type == "Lowercase" && word_piece) {
    spec.word_piece.lowercase = true;
    return {};
  }
  if (type == "Precompiled" && IsSentencePiece(spec) && spec.charsmap.empty()) {
    ASSIGN_OR_RETURN(spec.charsmap, FromBase64(TextMember(rule, "precompiled_charsmap")));
    return {};
  }
  if (type == "Prepend" && IsSentencePiece(spec) && TextMember(rule, "prepend") == kSpaceMark) {
    spec.add_space_prefix = true;
    return {};
  }
  if (type == "Strip" && spec.kind == VocabularyKind::kSentencePieceUnigram) {
    spec.remove_extra_spaces = true;
    return {};
  }
  if (type == "Replace" && ReadReplace(rule, spec)) return {};
  return Unknown("normalizer", rule);
}

// Split: by an expression; every behaviour but these would lose text or glue it.
Status ReadSplit(const Json& rule, VocabularySpec& spec) {
  const Json* pattern = Member(rule, "pattern");
  const std::string behavior = TextMember(rule, "behavior");
  const bool inverted = FlagMember(rule, "invert", false);
  // "Removed" with "invert" keeps the matches and drops what is between: nothing, for expressions
  // that match all text.
  const bool keeps_all =
      (behavior == "Isolated" && !inverted) || (behavior == "Removed" && inverted);
  if (pattern == nullptr || !keeps_all) return Unknown("pre-tokenizer", rule);
  if (std::string expression = TextMember(*pattern, "Regex"); !expression.empty()) {
    spec.splits.push_back(std::move(expression));
    return {};
  }
  const std::string text = TextMember(*pattern, "String");
  if (text.empty() || text.find("\\E") != std::string::npos) return Unknown("pre-tokenizer", rule);
  spec.splits.push_back(std::string("\\Q").append(text).append("\\E"));
  return {};
}

Status ReadMetaspace(const Json& rule, VocabularySpec& spec) {
  const std::string replacement = TextMember(rule, "replacement");
  if (!replacement.empty() && replacement != kSpaceMark) return Unknown("pre-tokenizer", rule);
  const std::string scheme = TextMember(rule, "prepend_scheme");
  spec.add_space_prefix =
      scheme.empty() ? FlagMember(rule, "add_prefix_space", true) : scheme != "never";
  spec.space_prefix_first_only = scheme == "first";
  spec.space_prefix_unless_space = true;
  if (FlagMember(rule, "split", true) && spec.kind == VocabularyKind::kSentencePieceBpe) {
    spec.splits.emplace_back("\\x{2581}[^\\x{2581}]*");
  }
  return {};
}

Status ReadPreTokenizer(const Json& rule, VocabularySpec& spec) {
  const std::string type = TextMember(rule, "type");
  if (spec.kind == VocabularyKind::kWordPiece) {
    return type == "BertPreTokenizer" ? Status() : Unknown("pre-tokenizer", rule);
  }
  if (type == "Split") return ReadSplit(rule, spec);
  if (type == "Metaspace" && IsSentencePiece(spec)) return ReadMetaspace(rule, spec);
  if (type == "WhitespaceSplit" && spec.kind == VocabularyKind::kSentencePieceUnigram) {
    spec.remove_extra_spaces = true;
    return {};
  }
  if (IsSentencePiece(spec)) return Unknown("pre-tokenizer", rule);
  if (type == "ByteLevel") {
    spec.add_space_prefix = FlagMember(rule, "add_prefix_space", true);
    if (FlagMember(rule, "use_regex", true))
      spec.splits.emplace_back(FindPreTokenizer("gpt-2")->splits[0]);
  } else if (type == "Digits") {
    spec.splits.emplace_back(FlagMember(rule, "individual_digits", false) ? "\\p{N}" : "\\p{N}+");
  } else if (type == "Punctuation" && TextMember(rule, "behavior") == "Isolated") {
    spec.splits.emplace_back("[\\p{P}!-/:-@\\[-`{-~]");
  } else {
    return Unknown("pre-tokenizer", rule);
  }
  return {};
}

// Which tokens stand in front of and behind the text A of TemplateProcessing's "single".
Status ReadTemplate(const Json& rule, VocabularySpec& spec) {
  const Json* single = Member(rule, "single");
  const Json* specials = Member(rule, "special_tokens");
  if (single == nullptr || !single->is_array() || single->size() > 64)
    return Unknown("post-processor", rule);
  bool behind = false;
  for (const Json& piece : *single) {
    const Json* special = Member(piece, "SpecialToken");
    if (special == nullptr) {
      behind = true;
      continue;
    }
    const std::string name = TextMember(*special, "id");
    const Json* entry = specials == nullptr ? nullptr : Member(*specials, name.c_str());
    const Json* ids = entry == nullptr ? nullptr : Member(*entry, "ids");
    if (ids == nullptr || !ids->is_array() || ids->size() > 64)
      return Unknown("post-processor", rule);
    for (const Json& id : *ids) {
      if (!id.is_number_unsigned() || id.get<std::uint64_t>() >= spec.tokens.size()) {
        return Invalid("tokenizer.json: the post-processor adds ", files::Quote(name),
                       ", which is not in the vocabulary");
      }
      (behind ? spec.prompt_suffix : spec.prompt_prefix).push_back(id.get<std::uint32_t>());
    }
  }
  return {};
}

// BertProcessing and RobertaProcessing: ["[CLS]", 101] and ["[SEP]", 102].
Status ReadPair(const Json& rule, const char* key, const VocabularySpec& spec,
                std::vector<std::uint32_t>& ids) {
  const Json* pair = Member(rule, key);
  const bool good = pair != nullptr && pair->is_array() && pair->size() == 2 &&
                    (*pair)[1].is_number_unsigned() &&
                    (*pair)[1].get<std::uint64_t>() < spec.tokens.size();
  if (!good)
    return Invalid("tokenizer.json: the post-processor's ", key, " is not a token and its id");
  ids.push_back((*pair)[1].get<std::uint32_t>());
  return {};
}

Status ReadPostProcessor(const Json& rule, VocabularySpec& spec) {
  const std::string type = TextMember(rule, "type");
  if (type == "ByteLevel") return {};
  if (type == "TemplateProcessing") return ReadTemplate(rule, spec);
  if (type == "BertProcessing" || type == "RobertaProcessing") {
    RETURN_IF_ERROR(ReadPair(rule, "cls", spec, spec.prompt_prefix));
    return ReadPair(rule, "sep", spec, spec.prompt_suffix);
  }
  return Unknown("post-processor", rule);
}

}  // namespace

bool HasPreTokenizer(const Json& root, std::string_view type) {
  const auto rules = Flatten(root, "pre_tokenizer", "pretokenizers");
  if (!rules.ok()) return false;
  for (const Json* rule : *rules) {
    if (TextMember(*rule, "type") == type) return true;
  }
  return false;
}

Status ReadRules(const Json& root, VocabularySpec& spec) {
  const bool word_piece = spec.kind == VocabularyKind::kWordPiece;
  if (word_piece && Member(root, "normalizer") == nullptr) {
    spec.word_piece.clean_text = spec.word_piece.separate_chinese = false;
    spec.word_piece.lowercase = spec.word_piece.strip_accents = false;
  }
  spec.add_space_prefix = false;
  spec.remove_extra_spaces = false;
  ASSIGN_OR_RETURN(const auto normalizers, Flatten(root, "normalizer", "normalizers"));
  for (const Json* rule : normalizers) RETURN_IF_ERROR(ReadNormalizer(*rule, spec));
  ASSIGN_OR_RETURN(const auto pre_tokenizers, Flatten(root, "pre_tokenizer", "pretokenizers"));
  for (const Json* rule : pre_tokenizers) RETURN_IF_ERROR(ReadPreTokenizer(*rule, spec));
  // No expression at all would mean "as `pre` says": here it means one part.
  if (spec.kind == VocabularyKind::kByteLevelBpe && spec.splits.empty())
    spec.splits.emplace_back("[\\s\\S]+");
  ASSIGN_OR_RETURN(const auto post_processors, Flatten(root, "post_processor", "processors"));
  for (const Json* rule : post_processors) RETURN_IF_ERROR(ReadPostProcessor(*rule, spec));
  // The file says all: what its post-processor does not add is not added.
  spec.add_bos = false;
  spec.add_eos = false;
  if (spec.prompt_prefix.size() == 1) spec.bos = spec.prompt_prefix[0];
  if (spec.prompt_suffix.size() == 1) spec.eos = spec.prompt_suffix[0];
  return {};
}

}  // namespace bramble::model::text
