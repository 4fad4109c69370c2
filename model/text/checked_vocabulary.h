#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/status.h"
#include "model/text/vocabulary.h"

namespace bramble::model::text {

inline constexpr std::size_t kMaxTokens = 1 << 22;
inline constexpr std::size_t kMaxTokenBytes = 16 << 10;
inline constexpr std::string_view kSpaceMark = "\xe2\x96\x81";  // U+2581, SentencePiece's space

// `text` with U+2581 for every space.
std::string MarkSpaces(std::string_view text);

// A VocabularySpec of which everything that the algorithms rely on has been checked, with its
// index. Immutable after Create; any thread.
class Vocabulary {
 public:
  static Result<Vocabulary> Create(VocabularySpec spec);

  // The index points into the tokens: a move keeps them, a copy would not.
  Vocabulary(Vocabulary&&) = default;
  Vocabulary& operator=(Vocabulary&&) = default;
  Vocabulary(const Vocabulary&) = delete;
  Vocabulary& operator=(const Vocabulary&) = delete;
  ~Vocabulary() = default;

  const VocabularySpec& spec() const { return spec_; }
  std::uint32_t size() const { return static_cast<std::uint32_t>(spec_.tokens.size()); }
  // Require id < size().
  const std::string& Spelling(std::uint32_t id) const { return spec_.tokens[id]; }
  TokenType Type(std::uint32_t id) const {
    return spec_.types.empty() ? TokenType::kNormal : spec_.types[id];
  }
  float Score(std::uint32_t id) const { return spec_.scores.empty() ? 0.0F : spec_.scores[id]; }
  // The bytes that a token adds to a text, see Tokenizer::Bytes.
  std::string_view Bytes(std::uint32_t id) const {
    return std::string_view(decoded_).substr(decoded_ends_[id],
                                             decoded_ends_[id + 1] - decoded_ends_[id]);
  }

  std::optional<std::uint32_t> Find(std::string_view spelling) const;
  // SentencePiece's pieces: like Find, but without control, unknown and byte tokens.
  std::optional<std::uint32_t> FindPiece(std::string_view spelling) const;
  // The token of one byte: its letter (byte-level BPE) or "<0x41>".
  std::optional<std::uint32_t> ByteToken(unsigned char byte) const { return byte_tokens_[byte]; }
  // What stands for text that has no token.
  std::optional<std::uint32_t> unknown() const { return spec_.unknown; }
  std::size_t longest_token() const { return longest_token_; }
  bool byte_level() const { return spec_.kind == VocabularyKind::kByteLevelBpe; }

 private:
  Vocabulary() = default;
  Status Resolve();
  Status CheckCounts() const;
  Status CheckIds() const;
  Status Index();
  Status FindByteTokens();
  void DecodeTokens();

  VocabularySpec spec_;
  std::unordered_map<std::string_view, std::uint32_t> by_spelling_;
  std::deque<std::string>
      marked_;  // user-defined tokens with U+2581 for spaces; by_spelling_ points into it too
  std::array<std::optional<std::uint32_t>, 256> byte_tokens_;
  std::string decoded_;
  std::vector<std::size_t> decoded_ends_;  // [i], [i + 1]: where the bytes of token i begin and end
  std::size_t longest_token_ = 0;
};

}  // namespace bramble::model::text
