#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "model/text/tokenizer.h"

namespace bramble::model::text {

// Ids one by one to text, never half a character: an incomplete UTF-8 tail (at most 3 bytes) is
// held back until it is complete, or until a byte shows that it cannot become one; then each
// maximal ill-formed part gives one U+FFFD (the rule of the Unicode standard, table 3-8, and of
// WHATWG). Control tokens give nothing. The pieces, joined, are the text, however the ids were cut.
// One object for one answer; one thread at a time.
class StreamDecoder {
 public:
  enum class Start : std::uint8_t {
    kContinuation,  // the ids go on from a prompt: a leading space is part of the answer
    kText,  // the ids are a text from its beginning: SentencePiece's own space in front is dropped
  };

  // `tokenizer` must outlive this.
  explicit StreamDecoder(const Tokenizer& tokenizer, Start start = Start::kContinuation);

  // What `id` makes certain, perhaps nothing. UTF-8.
  std::string Add(std::uint32_t id);

  // The end of the answer: U+FFFD if bytes are still held, else nothing. The decoder then holds
  // nothing.
  std::string Finish();

 private:
  const Tokenizer& tokenizer_;
  std::string held_;  // the beginning of a character
  bool at_start_;     // leading spaces are still to be dropped
};

}  // namespace bramble::model::text
