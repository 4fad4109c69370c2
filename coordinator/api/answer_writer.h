#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "coordinator/api/answer_text.h"
#include "coordinator/api/errors.h"
#include "coordinator/api/http.h"
#include "coordinator/api/json_body.h"

namespace bramble::coordinator {

// Why one choice ended.
struct ChoiceEnd {
  std::string finish_reason;  // "stop", "length"
  Json stop_reason;           // the stop string, the id of stop_token_ids, or null
};

struct Usage {
  std::uint64_t prompt_tokens = 0;
  std::uint64_t cached_tokens = 0;
  std::uint64_t completion_tokens = 0;
};

// What is the same in every object of one reply.
struct ReplyFacts {
  std::string id;
  std::int64_t created = 0;
  std::string model;
  std::string fingerprint;
};

// How an endpoint writes a choice; the rest of a reply is the same for all.
class ChoiceShape {
 public:
  ChoiceShape() = default;
  ChoiceShape(const ChoiceShape&) = delete;
  ChoiceShape& operator=(const ChoiceShape&) = delete;
  virtual ~ChoiceShape() = default;

  virtual const char* object(bool chunk) const = 0;
  // The first chunk of a choice; null: none is sent.
  virtual Json First(std::size_t choice) const = 0;
  virtual Json Part(std::size_t choice, const Piece& piece) const = 0;
  virtual Json Last(std::size_t choice, const ChoiceEnd& end) const = 0;
  virtual Json Whole(std::size_t choice, const Piece& all, const ChoiceEnd& end) const = 0;
};

// Where the pieces of all choices of a request go. On the exchange's strand. After End or Fail
// nothing may follow.
class AnswerWriter {
 public:
  AnswerWriter() = default;
  AnswerWriter(const AnswerWriter&) = delete;
  AnswerWriter& operator=(const AnswerWriter&) = delete;
  virtual ~AnswerWriter() = default;

  virtual void Begin() = 0;  // the generator has taken all of it
  virtual void Add(std::size_t choice, Piece piece) = 0;
  virtual void EndChoice(std::size_t choice, ChoiceEnd end) = 0;
  virtual void End(const Usage& usage) = 0;
  virtual void Fail(const ApiError& error) = 0;
};

// Server-sent events, a chunk for each piece.
std::unique_ptr<AnswerWriter> MakeStreamWriter(std::shared_ptr<Exchange> exchange,
                                               std::unique_ptr<ChoiceShape> shape, ReplyFacts facts,
                                               std::size_t choices, bool include_usage);
// One JSON object at the end.
std::unique_ptr<AnswerWriter> MakeWholeWriter(std::shared_ptr<Exchange> exchange,
                                              std::unique_ptr<ChoiceShape> shape, ReplyFacts facts,
                                              std::size_t choices);

// Chats: `logprobs` as asked for.
std::unique_ptr<ChoiceShape> MakeChatShape(const model::text::Tokenizer& tokenizer, bool logprobs);
std::unique_ptr<ChoiceShape> MakeCompletionShape(const model::text::Tokenizer& tokenizer,
                                                 bool logprobs);

// JSON for the wire: what is not UTF-8 becomes U+FFFD.
std::string Dump(const Json& value);

}  // namespace bramble::coordinator
