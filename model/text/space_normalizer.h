#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "common/status.h"
#include "model/text/algorithm.h"
#include "model/text/charsmap.h"
#include "model/text/checked_vocabulary.h"
#include "model/text/token_trie.h"

namespace bramble::model::text {

// SentencePiece's normalizer: characters by the charsmap, extra spaces removed, a space in front,
// spaces as U+2581 (google/sentencepiece, normalizer.cc). User-defined pieces pass unchanged.
// Immutable; any thread.
class SpaceNormalizer {
 public:
  // `vocabulary` must outlive this.
  static Result<SpaceNormalizer> Create(const Vocabulary& vocabulary);

  Result<std::string> Normalize(std::string_view text, Place place) const;

  // The longest user-defined piece that normalized text begins with, in bytes; 0: none.
  std::size_t UserDefinedPrefix(std::string_view normalized) const;

 private:
  struct Step {
    std::size_t bytes = 0;
    std::string_view becomes;
  };

  explicit SpaceNormalizer(const Vocabulary& vocabulary) : spec_(&vocabulary.spec()) {}
  Step Next(std::string_view text) const;

  const VocabularySpec* spec_;
  std::optional<CharsMap> map_;
  TokenTrie user_defined_;  // with U+2581 for spaces
};

}  // namespace bramble::model::text
