#include "model/text/letter_pairs.h"

#include "model/text/utf8.h"

namespace bramble::model::text {

LetterPairs::LetterPairs(const Vocabulary& vocabulary) {
  for (std::uint32_t id = 0; id < vocabulary.size(); ++id) {
    const TokenType type = vocabulary.Type(id);
    if (type != TokenType::kNormal && type != TokenType::kUnused && type != TokenType::kUserDefined)
      continue;
    std::string_view rest = vocabulary.Spelling(id);
    char32_t left = 0;
    for (bool first = true; !rest.empty(); first = false) {
      const Utf8Step step = NextUtf8(rest);
      if (!first) seen_[Slot(left, step.letter)] = true;
      left = step.letter;
      rest.remove_prefix(step.bytes);
    }
  }
}

}  // namespace bramble::model::text
