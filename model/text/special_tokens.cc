#include "model/text/special_tokens.h"

#include <algorithm>

#include "model/text/unicode.h"
#include "model/text/utf8.h"

namespace bramble::model::text {
namespace {

// The character that ends at text[end). Requires end > 0 and valid UTF-8.
Utf8Step LastLetter(std::string_view text, std::size_t end) {
  std::size_t begin = end - 1;
  while (begin > 0 && (static_cast<unsigned char>(text[begin]) & 0xc0U) == 0x80U) --begin;
  return NextUtf8(text.substr(begin, end - begin));
}

// How many of the offsets lie at or before `at`: odd means inside a trusted stretch.
bool IsTrusted(const std::vector<std::size_t>& trusted, std::size_t begin, std::size_t end) {
  const auto next = std::upper_bound(trusted.begin(), trusted.end(), begin);
  const bool inside = (next - trusted.begin()) % 2 == 1;
  return inside && (next == trusted.end() || end <= *next);
}

}  // namespace

SpecialTokens::SpecialTokens(const Vocabulary& vocabulary) : vocabulary_(vocabulary) {
  const VocabularyKind kind = vocabulary.spec().kind;
  const bool user_defined_too =
      kind == VocabularyKind::kByteLevelBpe || kind == VocabularyKind::kWordPiece;
  for (std::uint32_t id = 0; id < vocabulary.size(); ++id) {
    if (vocabulary.Spelling(id).empty()) continue;
    const TokenType type = vocabulary.Type(id);
    const bool special = type == TokenType::kControl || type == TokenType::kUnknown;
    if (special || (type == TokenType::kUserDefined && user_defined_too))
      trie_.Add(vocabulary.Spelling(id), id);
  }
}

bool SpecialTokens::IsApart(std::string_view text, std::size_t begin, std::size_t end) const {
  if (begin > 0 && IsWordLetter(LastLetter(text, begin).letter)) return false;
  return end == text.size() || !IsWordLetter(NextUtf8(text.substr(end)).letter);
}

SpecialTokens::Match SpecialTokens::Widen(std::string_view text, std::size_t from, std::uint32_t id,
                                          std::size_t begin, std::size_t end) const {
  Match match{id, begin, end, begin, end};
  const auto& flags = vocabulary_.spec().flags;
  const auto found = flags.find(id);
  if (found == flags.end()) return match;
  while (found->second.strip_left && match.text_before > from) {
    const Utf8Step step = LastLetter(text, match.text_before);
    if (!IsSpace(step.letter)) break;
    match.text_before -= step.bytes;
  }
  while (found->second.strip_right && match.text_behind < text.size()) {
    const Utf8Step step = NextUtf8(text.substr(match.text_behind));
    if (!IsSpace(step.letter)) break;
    match.text_behind += step.bytes;
  }
  return match;
}

std::optional<SpecialTokens::Match> SpecialTokens::Next(
    std::string_view text, std::size_t from, const std::vector<std::size_t>& trusted) const {
  if (trie_.empty()) return std::nullopt;
  const auto& flags = vocabulary_.spec().flags;
  for (std::size_t at = from; at < text.size(); ++at) {
    std::optional<std::uint32_t> longest;
    std::size_t end = at;
    trie_.ForEachPrefix(text.substr(at), [&](std::uint32_t id, std::size_t bytes) {
      const bool plain = vocabulary_.Type(id) == TokenType::kUserDefined;
      if (!plain && !IsTrusted(trusted, at, at + bytes)) return;
      const auto found = flags.find(id);
      if (found != flags.end() && found->second.single_word && !IsApart(text, at, at + bytes))
        return;
      longest = id;
      end = at + bytes;
    });
    if (longest.has_value()) return Widen(text, from, *longest, at, end);
  }
  return std::nullopt;
}

}  // namespace bramble::model::text
