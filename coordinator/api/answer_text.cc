#include "coordinator/api/answer_text.h"

#include <algorithm>
#include <utility>

namespace bramble::coordinator {

std::size_t CountCharacters(std::string_view text) {
  // Every byte but the continuations begins one.
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U;
  }));
}

AnswerText::AnswerText(const model::text::Tokenizer& tokenizer, Options options)
    : options_(std::move(options)),
      decoder_(tokenizer),
      stops_(options_.stops, options_.include_stop),
      decoded_(options_.offset),
      sent_(options_.offset) {}

Piece AnswerText::Add(const GeneratedToken& token) {
  if (stop_string() || end_id_) return {};
  ++tokens_;
  if (std::binary_search(options_.end_ids.begin(), options_.end_ids.end(), token.id)) {
    end_id_ = token.id;
    return {};
  }
  if (options_.entries) waiting_.push_back({token.id, token.logprob, token.top, decoded_});
  std::string text = decoder_.Add(token.id);
  decoded_ += CountCharacters(text);
  if (tokens_ <= options_.min_tokens) return Release(std::move(text), false);
  return Release(stops_.Add(text), false);
}

Piece AnswerText::Finish() {
  if (stop_string()) return {};
  const std::string tail = decoder_.Finish();
  std::string text = stops_.Add(tail);
  text += stops_.Finish();
  return Release(std::move(text), !stop_string());
}

// A token is told with the first character of its text; one that lies in or behind a stop string is
// not told.
Piece AnswerText::Release(std::string certain, bool all) {
  sent_ += CountCharacters(certain);
  Piece piece{std::move(certain), {}};
  while (!waiting_.empty() && (all || waiting_.front().offset < sent_)) {
    piece.entries.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
  return piece;
}

Piece EchoPrompt(const model::text::Tokenizer& tokenizer, const std::vector<std::uint32_t>& ids,
                 const std::optional<std::string>& text, const std::vector<PromptOutput>& outputs,
                 bool entries) {
  Piece piece{text ? *text : tokenizer.Decode(ids), {}};
  if (!entries) return piece;
  model::text::StreamDecoder decoder(tokenizer, model::text::StreamDecoder::Start::kText);
  std::size_t offset = 0;
  for (const std::uint32_t id : ids) {
    TokenEntry& entry = piece.entries.emplace_back();
    entry.id = id;
    entry.offset = offset;
    offset += CountCharacters(decoder.Add(id));
  }
  // The output of a position speaks of the id behind it.
  for (const PromptOutput& output : outputs) {
    const std::size_t next = std::size_t{output.position} + 1;
    if (next >= ids.size() || !output.next_logprob) continue;
    piece.entries[next].logprob = output.next_logprob;
    piece.entries[next].top = output.top;
  }
  return piece;
}

}  // namespace bramble::coordinator
