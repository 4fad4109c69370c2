#include "model/text/space_normalizer.h"

#include <utility>

#include "model/text/unicode.h"
#include "model/text/utf8.h"

namespace bramble::model::text {
Result<SpaceNormalizer> SpaceNormalizer::Create(const Vocabulary& vocabulary) {
  SpaceNormalizer normalizer(vocabulary);
  if (!vocabulary.spec().charsmap.empty()) {
    ASSIGN_OR_RETURN(normalizer.map_, CharsMap::Create(vocabulary.spec().charsmap));
  }
  for (std::uint32_t id = 0; id < vocabulary.size(); ++id) {
    if (vocabulary.Type(id) != TokenType::kUserDefined || vocabulary.Spelling(id).empty()) continue;
    normalizer.user_defined_.Add(MarkSpaces(vocabulary.Spelling(id)), id);
  }
  return normalizer;
}

std::size_t SpaceNormalizer::UserDefinedPrefix(std::string_view normalized) const {
  std::size_t longest = 0;
  user_defined_.ForEachPrefix(normalized,
                              [&longest](std::uint32_t, std::size_t bytes) { longest = bytes; });
  return longest;
}

SpaceNormalizer::Step SpaceNormalizer::Next(std::string_view text) const {
  if (const std::size_t bytes = UserDefinedPrefix(text); bytes > 0)
    return {bytes, text.substr(0, bytes)};
  if (map_.has_value()) {
    if (const auto replacement = map_->Find(text)) return {replacement->bytes, replacement->by};
  }
  const std::size_t bytes = Utf8Length(text);
  return {bytes, text.substr(0, bytes)};
}

Result<std::string> SpaceNormalizer::Normalize(std::string_view text, Place place) const {
  const bool remove_extra = *spec_->remove_extra_spaces;
  std::string changed;
  if (spec_->unicode_form != UnicodeForm::kNone) {
    ASSIGN_OR_RETURN(changed, NormalForm(text, spec_->unicode_form));
    text = changed;
  }
  while (remove_extra && !text.empty()) {
    const Step step = Next(text);
    if (step.becomes != " ") break;
    text.remove_prefix(step.bytes);
  }
  std::string out;
  if (text.empty()) return out;
  out.reserve(text.size() + text.size() / 2);
  const bool prefix_here = place == Place::kFirst || !spec_->space_prefix_first_only;
  const bool has_space = spec_->space_prefix_unless_space && text.starts_with(' ');
  if (*spec_->add_space_prefix && prefix_here && !has_space) out += kSpaceMark;
  bool after_space = remove_extra;
  while (!text.empty()) {
    const Step step = Next(text);
    std::string_view becomes = step.becomes;
    while (after_space && becomes.starts_with(' ')) becomes.remove_prefix(1);
    if (!becomes.empty()) {
      out += MarkSpaces(becomes);
      after_space = remove_extra && becomes.ends_with(' ');
    }
    text.remove_prefix(step.bytes);
  }
  while (remove_extra && out.ends_with(kSpaceMark)) out.resize(out.size() - kSpaceMark.size());
  return out;
}

}  // namespace bramble::model::text
