#include "model/text/stream_decoder.h"

#include <span>

#include "model/text/utf8.h"

namespace bramble::model::text {

StreamDecoder::StreamDecoder(const Tokenizer& tokenizer, Start start)
    : tokenizer_(tokenizer), at_start_(start == Start::kText && tokenizer.StripsSpacePrefix()) {}

std::string StreamDecoder::Add(std::uint32_t id) {
  std::string_view bytes = tokenizer_.Bytes(id);
  if (bytes.empty()) return {};
  if (at_start_) {
    const bool has_space = tokenizer_.BeginsWithMark(id);
    if (has_space) bytes.remove_prefix(1);
    // SentencePiece drops one space of each piece until some text has come, where it removes extra
    // spaces; else one.
    at_start_ = tokenizer_.StripsAllLeadingSpaces() ? bytes.empty() : !has_space && bytes.empty();
    if (bytes.empty()) return {};
  }
  held_ += bytes;
  std::string tail;
  std::string text = ReplaceInvalidUtf8(held_, &tail);
  held_.swap(tail);
  return text;
}

std::string StreamDecoder::Finish() {
  std::string text = ReplaceInvalidUtf8(held_);
  held_.clear();
  return text;
}

std::string Tokenizer::Decode(std::span<const std::uint32_t> ids) const {
  StreamDecoder decoder(*this, StreamDecoder::Start::kText);
  std::string text;
  for (const std::uint32_t id : ids) text += decoder.Add(id);
  return text + decoder.Finish();
}

}  // namespace bramble::model::text
