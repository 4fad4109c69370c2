#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"

namespace bramble::model::text {

// How text becomes ids. GGUF's `tokenizer.ggml.model` in quotes.
enum class VocabularyKind : std::uint8_t {
  kByteLevelBpe,          // "gpt2": split by expressions, bytes as GPT-2's letters, merges by rank
  kSentencePieceBpe,      // "llama": U+2581 for spaces, merges by score (or by rank if there are
                          // merges)
  kSentencePieceUnigram,  // "t5": the segmentation with the highest sum of scores
  kWordPiece,             // "bert": longest match first, word by word
};

// The numbers of GGUF's `tokenizer.ggml.token_type` and of SentencePiece's piece types.
enum class TokenType : std::uint8_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,      // never made from plain text, never shown
  kUserDefined = 4,  // taken whole wherever it is typed
  kUnused = 5,
  kByte = 6,  // "<0x41>": one byte of a character that has no token
};

enum class UnicodeForm : std::uint8_t { kNone, kNfc, kNfd, kNfkc, kNfkd };

// What tokenizer.json says of an added token beyond its type. GGUF has no such field.
struct AddedTokenFlags {
  bool strip_left = false;   // blanks in front of it belong to it
  bool strip_right = false;  // blanks behind it belong to it
  bool single_word = false;  // only where no letter, digit or '_' is next to it
};

// WordPiece's cleaning. The defaults are those of BERT uncased, which is what a GGUF "bert"
// vocabulary means.
struct WordPieceRules {
  bool clean_text = true;        // drop control characters, blanks become ' '
  bool separate_chinese = true;  // every CJK ideograph is a word
  bool lowercase = true;
  bool strip_accents = true;             // NFD, then without category Mn
  std::string continuation = "##";       // in front of a token that continues a word
  std::uint32_t max_word_letters = 100;  // a longer word is unknown
};

// A tokenizer as plain data, as a reader of some file format found it. Nothing in it has been
// checked: MakeTokenizer does.
//
// From GGUF (keys without "tokenizer.ggml."; a missing optional key leaves the default):
//   model -> kind ("gpt2", "llama", "t5", "bert"; anything else: refuse by name)
//   pre -> pre                       tokens -> tokens       scores -> scores       token_type ->
//   types merges -> merges                 precompiled_charsmap (bytes) -> charsmap
//   add_space_prefix -> add_space_prefix                    remove_extra_whitespaces ->
//   remove_extra_spaces add_bos_token -> add_bos         add_eos_token -> add_eos bos_token_id,
//   eos_token_id, unknown_token_id, padding_token_id, eot_token_id, eom_token_id,
//   seperator_token_id (GGUF's own spelling), cls_token_id, mask_token_id -> bos, eos, unknown,
//   padding, end_of_turn, end_of_message, separator, classification, mask and set gguf = true: some
//   names and defaults are those of that format (phantom U+2581 of "bert" words; add_bos when the
//   key is missing).
struct VocabularySpec {
  VocabularyKind kind = VocabularyKind::kByteLevelBpe;
  bool gguf = false;

  // Index = id. Spelled as in the file: GPT-2's letters for byte-level BPE, U+2581 for
  // SentencePiece.
  std::vector<std::string> tokens;
  std::vector<float>
      scores;  // empty, or one for each token; SentencePiece kinds need scores or merges
  std::vector<TokenType> types;                    // empty (all normal), or one for each token
  std::vector<std::string> merges;                 // "left right", best first
  std::map<std::uint32_t, AddedTokenFlags> flags;  // only ids that have any set

  // Byte-level BPE: the name of a row of pre_tokenizers.cc, or, when `splits` is not empty, the
  // expressions themselves (PCRE2, applied in order: each splits every part into its matches and
  // the text between them).
  std::string pre;
  std::vector<std::string> splits;
  std::optional<bool>
      ignore_merges;  // a part that is a token as a whole is taken whole; missing: as `pre` says

  UnicodeForm unicode_form = UnicodeForm::kNone;
  std::string charsmap;  // SentencePiece's precompiled normalizer: u32 size, double-array trie,
                         // replacements
  std::optional<bool> add_space_prefix;  // missing: true for SentencePiece kinds, false otherwise
  std::optional<bool> remove_extra_spaces;  // missing: true for unigram, false otherwise
  bool space_prefix_first_only = false;     // the prefix: not behind special tokens
  bool space_prefix_unless_space = false;   // the prefix: not where the text begins with a space
  WordPieceRules word_piece;

  // What EncodePrompt adds around a plain prompt. Missing: as llama.cpp does (BOS for "llama", and
  // for the `pre` names that say so; [CLS] ... [SEP] for WordPiece; EOS for "t5").
  std::optional<bool> add_bos;
  std::optional<bool> add_eos;
  // Where a file names other tokens than BOS and EOS, or several: these are added instead.
  std::vector<std::uint32_t> prompt_prefix, prompt_suffix;

  std::optional<std::uint32_t> bos, eos, unknown, padding, end_of_turn, end_of_message;
  std::optional<std::uint32_t> separator, classification, mask;
};

// A Hugging Face tokenizer.json (BPE, Unigram, WordPiece). Unimplemented names the normalizer,
// pre-tokenizer or model that is not known. Ids of bos and eos are not in that file except where
// its post-processor adds them: a caller that has tokenizer_config.json or config.json sets them.
// `json`: at most 128 MB.
Result<VocabularySpec> ReadTokenizerJson(std::string_view json);

// A SentencePiece model file (`tokenizer.model`, `spiece.model`): a protobuf message; unigram and
// BPE.
Result<VocabularySpec> ReadSentencePieceModel(std::span<const std::byte> bytes);

}  // namespace bramble::model::text
