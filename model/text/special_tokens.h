#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string_view>
#include <vector>

#include "model/text/checked_vocabulary.h"
#include "model/text/token_trie.h"

namespace bramble::model::text {

// Finds the tokens that are taken whole before anything else happens to a text: control tokens (and
// the unknown token's own spelling), and for byte-level and WordPiece vocabularies user-defined
// tokens too. (SentencePiece finds those itself, after spaces have become U+2581.) Leftmost first,
// longest among those. Immutable; any thread.
class SpecialTokens {
 public:
  explicit SpecialTokens(const Vocabulary& vocabulary);

  struct Match {
    std::uint32_t id = 0;
    std::size_t begin = 0, end = 0;  // of the spelling
    std::size_t text_before = 0,
                text_behind = 0;  // where the text before ends, and where it goes on behind
  };

  // The next token in text[from..). A control token counts only where `trusted` (offsets at which
  // trust changes, the first to true, ascending) covers its whole spelling.
  std::optional<Match> Next(std::string_view text, std::size_t from,
                            const std::vector<std::size_t>& trusted) const;

 private:
  bool IsApart(std::string_view text, std::size_t begin, std::size_t end) const;
  Match Widen(std::string_view text, std::size_t from, std::uint32_t id, std::size_t begin,
              std::size_t end) const;

  const Vocabulary& vocabulary_;
  TokenTrie trie_;
};

}  // namespace bramble::model::text
