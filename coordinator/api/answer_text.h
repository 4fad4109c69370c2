#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "coordinator/api/stop_matcher.h"
#include "coordinator/serve/generator.h"
#include "model/text/stream_decoder.h"
#include "model/text/tokenizer.h"

namespace bramble::coordinator {

// What a client learns about one token of an answer (or of an echoed prompt).
struct TokenEntry {
  std::uint32_t id = 0;
  std::optional<double> logprob;      // none: of the first token of a text
  std::vector<TokenProbability> top;  // falling
  std::size_t offset = 0;             // characters of the text before it
};

// A part of an answer that has become certain.
struct Piece {
  std::string text;
  std::vector<TokenEntry> entries;
  bool empty() const { return text.empty() && entries.empty(); }
};

// The ids of one answer as text: decoded, searched for stop strings, cut at the end. The pieces,
// joined, are the same whether they are sent one by one or together. One thread at a time.
class AnswerText {
 public:
  struct Options {
    std::vector<std::string> stops;
    bool include_stop = false;
    std::vector<std::uint32_t> end_ids;  // sorted
    std::uint32_t min_tokens = 0;        // stop strings are not looked for in earlier tokens
    bool entries = false;                // make TokenEntries
    std::size_t offset = 0;              // characters of an echoed prompt
  };

  // `tokenizer` outlives this.
  AnswerText(const model::text::Tokenizer& tokenizer, Options options);

  Piece Add(const GeneratedToken& token);
  // The rest, once the answer has ended.
  Piece Finish();

  // A stop string was found: the answer is over, whatever the generator still says.
  const std::optional<std::string>& stop_string() const { return stops_.matched(); }
  // The end id that was drawn.
  std::optional<std::uint32_t> end_id() const { return end_id_; }
  // Drawn so far; the token that ends the answer counts.
  std::uint32_t tokens() const { return tokens_; }

 private:
  Piece Release(std::string certain, bool all);

  const Options options_;
  model::text::StreamDecoder decoder_;
  StopMatcher stops_;
  std::uint32_t tokens_ = 0;
  std::size_t decoded_ = 0;  // characters
  std::size_t sent_ = 0;     // characters
  std::deque<TokenEntry> waiting_;
  std::optional<std::uint32_t> end_id_;
};

// An echoed prompt. `outputs`: what the generator said of its positions, in their order; may be
// empty.
Piece EchoPrompt(const model::text::Tokenizer& tokenizer, const std::vector<std::uint32_t>& ids,
                 const std::optional<std::string>& text, const std::vector<PromptOutput>& outputs,
                 bool entries);

// Characters (code points) of UTF-8 text.
std::size_t CountCharacters(std::string_view text);

}  // namespace bramble::coordinator
