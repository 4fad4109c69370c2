#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"

namespace bramble::model::text {

// SentencePiece's precompiled character map: a double-array trie of sequences, and what each is
// replaced by. Layout (all little-endian): u32 bytes of the trie, the trie as u32 units
// (darts-clone's), the replacements, each ended by a zero byte; the value of a trie word is the
// offset of its replacement. Immutable; any thread.
class CharsMap {
 public:
  struct Replacement {
    std::size_t bytes = 0;  // of the text that is replaced
    std::string_view by;    // lives as long as the map
  };

  // InvalidArgument says what is wrong with `bytes`.
  static Result<CharsMap> Create(std::string_view bytes);

  // What the longest word that `text` begins with is replaced by. Reads nothing outside of the map,
  // whatever it holds.
  std::optional<Replacement> Find(std::string_view text) const;

 private:
  CharsMap() = default;

  std::vector<std::uint32_t> units_;
  std::string replacements_;
};

}  // namespace bramble::model::text
