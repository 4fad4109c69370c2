#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"
#include "model/text/marked_text.h"
#include "model/text/vocabulary.h"

namespace bramble::model::text {

// What text that spells a control token ("<|im_end|>") becomes.
enum class Specials : std::uint8_t {
  kParse,   // the token: for text that the model's maker or the operator wrote
  kAsText,  // ordinary tokens that spell it: for everything else
};

// Text to ids and ids to bytes, by one model's vocabulary. Immutable: every method from any thread.
// User-defined tokens (VocabularySpec) are recognized in every mode; they are words of the
// vocabulary, not control. An error of an Encode method is InvalidArgument (text over
// kMaxTextBytes) or ResourceExhausted (an expression of the model ran into its match limit: only a
// hostile tokenizer file does that). Bytes that are not UTF-8 are read as U+FFFD.
class Tokenizer {
 public:
  static constexpr std::size_t kMaxTextBytes = std::size_t{64} << 20;

  virtual ~Tokenizer() = default;
  Tokenizer(const Tokenizer&) = delete;
  Tokenizer& operator=(const Tokenizer&) = delete;

  // The ids of `text`, with nothing added in front or behind.
  virtual Result<std::vector<std::uint32_t>> Encode(std::string_view text,
                                                    Specials specials) const = 0;

  // The ids of a rendered chat. A control token is recognized only where its whole spelling lies in
  // template-made text; the text between two such tokens is tokenized as one string. Adds nothing:
  // templates write their own BOS.
  virtual Result<std::vector<std::uint32_t>> EncodeMarked(
      std::span<const MarkedText> parts) const = 0;

  // The ids of a plain prompt (/v1/completions, `bramble run` without a template): Encode, and BOS,
  // EOS, [CLS], [SEP] as the model wants. A BOS that the text itself begins with is not doubled.
  virtual Result<std::vector<std::uint32_t>> EncodePrompt(std::string_view text,
                                                          Specials specials) const = 0;

  // The bytes that `id` adds to a text; perhaps a part of a character. Empty for control tokens and
  // for ids that are not in the vocabulary (an embedding matrix may have more rows). Valid as long
  // as the tokenizer. For text use StreamDecoder or Decode; these bytes are what OpenAI's
  // `logprobs` call "bytes".
  virtual std::string_view Bytes(std::uint32_t id) const = 0;

  // How the vocabulary spells `id` ("<|im_end|>", "Ġthe", "▁the"); empty for an unknown id.
  virtual std::string_view Spelling(std::uint32_t id) const = 0;
  // The id that the vocabulary spells so.
  virtual std::optional<std::uint32_t> Find(std::string_view spelling) const = 0;

  virtual bool IsControl(std::uint32_t id) const = 0;
  virtual std::uint32_t vocabulary_size() const = 0;
  virtual std::optional<std::uint32_t> bos() const = 0;
  virtual std::optional<std::uint32_t> eos() const = 0;
  // Ids after which an answer is over: EOS, end of turn, end of message, and control tokens that
  // are known as such by their spelling. Sorted, without repetition.
  virtual const std::vector<std::uint32_t>& EndIds() const = 0;

  // The text of `ids` as a whole; bytes that are not UTF-8 become U+FFFD (see StreamDecoder).
  std::string Decode(std::span<const std::uint32_t> ids) const;

 protected:
  Tokenizer() = default;

 private:
  friend class StreamDecoder;
  // Whether a text's first token may carry a space that is not part of the text, and whether all
  // leading ones are such.
  virtual bool StripsSpacePrefix() const = 0;
  virtual bool StripsAllLeadingSpaces() const = 0;
  // Whether Bytes(id) begins with a space that stands for U+2581 or for the gap between two words.
  virtual bool BeginsWithMark(std::uint32_t id) const = 0;
};

// Checks all of `spec` and builds the tables. InvalidArgument names what is wrong with it (ids out
// of range, counts that do not match, a token twice, a merge of unknown tokens, an expression that
// does not compile, a broken charsmap).
Result<std::unique_ptr<Tokenizer>> MakeTokenizer(VocabularySpec spec);

}  // namespace bramble::model::text
