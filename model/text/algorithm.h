#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "common/status.h"
#include "model/text/checked_vocabulary.h"

namespace bramble::model::text {

// Where a stretch of text stands: SentencePiece puts a space in front of some.
enum class Place : std::uint8_t {
  kFirst,         // the text begins with it
  kAfterSpecial,  // a special token stands in front of it
};

// How the text between special tokens becomes ids. Immutable; any thread.
class Algorithm {
 public:
  virtual ~Algorithm() = default;
  Algorithm(const Algorithm&) = delete;
  Algorithm& operator=(const Algorithm&) = delete;

  // Appends the ids of `text` (valid UTF-8) to `ids`.
  virtual Status Encode(std::string_view text, Place place,
                        std::vector<std::uint32_t>& ids) const = 0;

 protected:
  Algorithm() = default;
};

// Each requires the matching kind, and that `vocabulary` outlives the result.
Result<std::unique_ptr<Algorithm>> MakeByteLevelBpe(const Vocabulary& vocabulary);
Result<std::unique_ptr<Algorithm>> MakeSentencePieceBpe(const Vocabulary& vocabulary);
Result<std::unique_ptr<Algorithm>> MakeUnigram(const Vocabulary& vocabulary);
Result<std::unique_ptr<Algorithm>> MakeWordPiece(const Vocabulary& vocabulary);

}  // namespace bramble::model::text
