#include "model/text/checked_vocabulary.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "model/files/quote.h"
#include "model/text/byte_letters.h"
#include "model/text/pre_tokenizers.h"
#include "model/text/utf8.h"

namespace bramble::model::text {
namespace {

constexpr std::string_view kUnknownText = " \xe2\x81\x87 ";  // what SentencePiece prints for <unk>

// "<0x41>" -> 0x41.
std::optional<unsigned char> ByteOfSpelling(std::string_view spelling) {
  if (spelling.size() != 6 || !spelling.starts_with("<0x") || spelling[5] != '>')
    return std::nullopt;
  unsigned value = 0;
  for (const char c : spelling.substr(3, 2)) {
    value *= 16;
    if (c >= '0' && c <= '9') {
      value += static_cast<unsigned>(c - '0');
    } else if (c >= 'A' && c <= 'F') {
      value += static_cast<unsigned>(c - 'A' + 10);
    } else if (c >= 'a' && c <= 'f') {
      value += static_cast<unsigned>(c - 'a' + 10);
    } else {
      return std::nullopt;
    }
  }
  return static_cast<unsigned char>(value);
}

std::string SpacesForMarks(std::string_view spelling) {
  std::string text;
  for (std::size_t at = 0; at < spelling.size();) {
    const bool mark = spelling.substr(at).starts_with(kSpaceMark);
    text += mark ? ' ' : spelling[at];
    at += mark ? kSpaceMark.size() : 1;
  }
  return text;
}

// GGUF's converter wrote a word's first token with U+2581 in front and the others without "##";
// names in brackets are as they were. This puts BERT's own spelling back.
std::string WordPieceSpelling(const std::string& token, TokenType type,
                              const std::string& continuation) {
  if (type != TokenType::kNormal || token.empty()) return token;
  if (token.front() == '[' && token.back() == ']') return token;
  if (token.starts_with(kSpaceMark)) return token.substr(kSpaceMark.size());
  return continuation + token;
}

}  // namespace

std::string MarkSpaces(std::string_view text) {
  std::string out;
  out.reserve(text.size() + text.size() / 2);
  for (const char byte : text) {
    if (byte == ' ') {
      out += kSpaceMark;
    } else {
      out += byte;
    }
  }
  return out;
}

Result<Vocabulary> Vocabulary::Create(VocabularySpec spec) {
  Vocabulary vocabulary;
  vocabulary.spec_ = std::move(spec);
  RETURN_IF_ERROR(vocabulary.CheckCounts());
  RETURN_IF_ERROR(vocabulary.CheckIds());
  RETURN_IF_ERROR(vocabulary.Resolve());
  RETURN_IF_ERROR(vocabulary.Index());
  RETURN_IF_ERROR(vocabulary.FindByteTokens());
  vocabulary.DecodeTokens();
  return vocabulary;
}

Status Vocabulary::CheckCounts() const {
  const std::size_t count = spec_.tokens.size();
  if (count == 0) return Invalid("the vocabulary has no tokens");
  if (count > kMaxTokens) {
    return Invalid("the vocabulary has ", count, " tokens, at most ", kMaxTokens, " are allowed");
  }
  if (!spec_.scores.empty() && spec_.scores.size() != count) {
    return Invalid("the vocabulary has ", count, " tokens but ", spec_.scores.size(), " scores");
  }
  if (!spec_.types.empty() && spec_.types.size() != count) {
    return Invalid("the vocabulary has ", count, " tokens but ", spec_.types.size(),
                   " token types");
  }
  for (std::size_t id = 0; id < count; ++id) {
    if (spec_.tokens[id].size() > kMaxTokenBytes) {
      return Invalid("token ", id, " has ", spec_.tokens[id].size(), " bytes, at most ",
                     kMaxTokenBytes, " are allowed");
    }
    if (!spec_.scores.empty() && !std::isfinite(spec_.scores[id])) {
      return Invalid("the score of token ", id, " ", files::Quote(spec_.tokens[id]),
                     " is not a finite number");
    }
    if (spec_.types.empty()) continue;
    const auto type = static_cast<unsigned>(spec_.types[id]);
    if (type < 1 || type > 6) {
      return Invalid("token ", id, " ", files::Quote(spec_.tokens[id]), " has the type ", type,
                     ", known are 1 to 6");
    }
  }
  return {};
}

Status Vocabulary::CheckIds() const {
  const std::pair<const char*, std::optional<std::uint32_t>> ids[] = {
      {"bos", spec_.bos},
      {"eos", spec_.eos},
      {"unknown", spec_.unknown},
      {"padding", spec_.padding},
      {"end of turn", spec_.end_of_turn},
      {"end of message", spec_.end_of_message},
      {"separator", spec_.separator},
      {"classification", spec_.classification},
      {"mask", spec_.mask},
  };
  for (const auto& [name, id] : ids) {
    if (id.has_value() && *id >= size()) {
      return Invalid("the ", name, " token is ", *id, ", but the vocabulary has only ", size(),
                     " tokens");
    }
  }
  for (const auto* added : {&spec_.prompt_prefix, &spec_.prompt_suffix}) {
    for (const std::uint32_t id : *added) {
      if (id < size()) continue;
      return Invalid("every prompt gets the token ", id, ", but the vocabulary has only ", size(),
                     " tokens");
    }
  }
  if (!spec_.flags.empty() && spec_.flags.rbegin()->first >= size()) {
    return Invalid("an added token has the id ", spec_.flags.rbegin()->first,
                   ", but the vocabulary has only ", size(), " tokens");
  }
  return {};
}

// Replaces what the file left open by what it means.
Status Vocabulary::Resolve() {
  VocabularySpec& spec = spec_;
  if (spec.kind == VocabularyKind::kByteLevelBpe && spec.splits.empty()) {
    const PreTokenizer* row = FindPreTokenizer(spec.pre);
    if (row == nullptr) {
      return Unimplemented("the pre-tokenizer ", files::Quote(spec.pre),
                           " is not known; the known names are in model/text/pre_tokenizers.cc");
    }
    spec.splits.assign(row->splits.begin(), row->splits.end());
    if (!spec.ignore_merges.has_value()) spec.ignore_merges = row->ignore_merges;
    if (!spec.add_bos.has_value()) spec.add_bos = row->add_bos || row->add_separator;
    if (row->add_separator && !spec.add_eos.has_value() && spec.separator.has_value()) {
      spec.prompt_suffix = {*spec.separator};
    }
    // Converters write the key for every kind; it means something for SentencePiece only.
    if (spec.gguf && row->byte_level) spec.add_space_prefix = false;
    if (!spec.add_eos.has_value()) spec.add_eos = row->add_separator;
    if (!row->byte_level) {
      spec.kind = VocabularyKind::kSentencePieceBpe;
      if (!spec.add_space_prefix.has_value()) spec.add_space_prefix = false;
    }
  }
  if (spec.kind == VocabularyKind::kWordPiece && spec.gguf) {
    for (std::uint32_t id = 0; id < size(); ++id) {
      spec.tokens[id] = WordPieceSpelling(spec.tokens[id], Type(id), spec.word_piece.continuation);
    }
  }
  const bool sentence_piece = spec.kind == VocabularyKind::kSentencePieceBpe ||
                              spec.kind == VocabularyKind::kSentencePieceUnigram;
  if (!spec.add_space_prefix.has_value()) spec.add_space_prefix = sentence_piece;
  if (!spec.remove_extra_spaces.has_value()) {
    spec.remove_extra_spaces = spec.kind == VocabularyKind::kSentencePieceUnigram;
  }
  if (spec.kind == VocabularyKind::kWordPiece) {
    if (!spec.bos.has_value()) spec.bos = spec.classification;
    if (!spec.eos.has_value()) spec.eos = spec.separator;
  }
  const bool word_piece = spec.kind == VocabularyKind::kWordPiece;
  if (!spec.add_bos.has_value()) {
    spec.add_bos = word_piece || (spec.gguf && spec.kind == VocabularyKind::kSentencePieceBpe);
  }
  if (!spec.add_eos.has_value()) {
    spec.add_eos = word_piece || (spec.gguf && spec.kind == VocabularyKind::kSentencePieceUnigram);
  }
  if (!spec.unknown.has_value()) {
    const auto type = std::find(spec.types.begin(), spec.types.end(), TokenType::kUnknown);
    if (type != spec.types.end())
      spec.unknown = static_cast<std::uint32_t>(type - spec.types.begin());
  }
  return {};
}

Status Vocabulary::Index() {
  by_spelling_.reserve(spec_.tokens.size());
  for (std::uint32_t id = 0; id < size(); ++id) {
    const std::string& token = spec_.tokens[id];
    if (token.empty()) continue;  // a hole: no text becomes it
    // These are looked for in text, which must not be cut inside a character.
    const bool is_word = Type(id) == TokenType::kControl || Type(id) == TokenType::kUserDefined;
    if (is_word && !IsUtf8(token)) {
      return Invalid("token ", id, " ", files::Quote(token),
                     " is control or user-defined, but is not UTF-8");
    }
    longest_token_ = std::max(longest_token_, token.size());
    const auto [earlier, is_new] = by_spelling_.try_emplace(token, id);
    if (!is_new) {
      return Invalid("the vocabulary has ", files::Quote(token), " twice: tokens ", earlier->second,
                     " and ", id);
    }
  }
  // GGUF's converter writes user-defined pieces with real spaces; SentencePiece looks for them with
  // U+2581.
  if (byte_level() || spec_.kind == VocabularyKind::kWordPiece) return {};
  for (std::uint32_t id = 0; id < size(); ++id) {
    if (Type(id) != TokenType::kUserDefined || Spelling(id).find(' ') == std::string::npos)
      continue;
    marked_.push_back(MarkSpaces(Spelling(id)));
    longest_token_ = std::max(longest_token_, marked_.back().size());
    by_spelling_.try_emplace(marked_.back(), id);
  }
  return {};
}

Status Vocabulary::FindByteTokens() {
  if (spec_.kind == VocabularyKind::kWordPiece) return {};
  for (unsigned byte = 0; byte < 256 && byte_level(); ++byte) {
    const auto id = Find(LetterOfByte(static_cast<unsigned char>(byte)));
    if (id.has_value() && Type(*id) == TokenType::kNormal) byte_tokens_[byte] = id;
  }
  for (std::uint32_t id = 0; id < size(); ++id) {
    if (Type(id) != TokenType::kByte) continue;
    const auto byte = ByteOfSpelling(Spelling(id));
    if (!byte.has_value()) {
      return Invalid("token ", id, " ", files::Quote(Spelling(id)),
                     " is of type byte, but is not spelled like <0x41>");
    }
    if (!byte_level()) byte_tokens_[*byte] = id;
  }
  return {};
}

void Vocabulary::DecodeTokens() {
  decoded_ends_.reserve(spec_.tokens.size() + 1);
  decoded_ends_.push_back(0);
  for (std::uint32_t id = 0; id < size(); ++id) {
    const std::string& token = Spelling(id);
    const TokenType type = Type(id);
    if (type == TokenType::kControl) {
      // Nothing: control tokens are never shown.
    } else if (type == TokenType::kByte && !byte_level()) {
      decoded_ += static_cast<char>(*ByteOfSpelling(token));
    } else if (byte_level()) {
      // A user-defined token is plain text, whatever letters it has.
      const auto bytes = type == TokenType::kUserDefined ? std::nullopt : BytesOfLetters(token);
      decoded_ += bytes.value_or(token);
    } else if (spec_.kind == VocabularyKind::kWordPiece) {
      const std::string& continuation = spec_.word_piece.continuation;
      const bool goes_on = !continuation.empty() && token.starts_with(continuation);
      if (!goes_on) decoded_ += ' ';
      decoded_ += goes_on ? token.substr(continuation.size()) : token;
    } else {
      decoded_ += type == TokenType::kUnknown ? std::string(kUnknownText) : SpacesForMarks(token);
    }
    decoded_ends_.push_back(decoded_.size());
  }
}

std::optional<std::uint32_t> Vocabulary::Find(std::string_view spelling) const {
  const auto found = by_spelling_.find(spelling);
  if (found == by_spelling_.end()) return std::nullopt;
  return found->second;
}

std::optional<std::uint32_t> Vocabulary::FindPiece(std::string_view spelling) const {
  const auto id = Find(spelling);
  if (!id.has_value()) return id;
  const TokenType type = Type(*id);
  const bool piece =
      type == TokenType::kNormal || type == TokenType::kUserDefined || type == TokenType::kUnused;
  return piece ? id : std::nullopt;
}

}  // namespace bramble::model::text
