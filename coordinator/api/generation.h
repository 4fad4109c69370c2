#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "coordinator/api/answer_text.h"
#include "coordinator/api/answer_writer.h"
#include "coordinator/api/completion_request.h"
#include "coordinator/api/http.h"
#include "coordinator/serve/generator.h"

namespace bramble::coordinator {

// What one choice of a reply asks of the generator, and how its text is made.
struct ChoicePlan {
  GenerateRequest request;
  AnswerText::Options text;
  std::vector<std::uint32_t> stop_token_ids;  // those of the end ids that the client named
  std::optional<std::string> prompt_text;     // for an echo: as it was sent
  bool echo = false;
  bool first_of_prompt = true;  // its prompt counts in the usage
};

// One request on its way: several choices, each a request to the generator, joined in one writer.
// Everything runs on the exchange's strand; the generator's calls are posted there. Lives as long
// as the generator holds one of its sinks.
class Generation : public std::enable_shared_from_this<Generation> {
 public:
  Generation(std::shared_ptr<Exchange> exchange, Generator& generator,
             const model::text::Tokenizer& tokenizer, std::vector<ChoicePlan> plans,
             std::unique_ptr<AnswerWriter> writer);

  // Submits all choices, or answers with the generator's refusal. On the strand.
  void Start();

 private:
  class Sink;
  struct Choice {
    ChoicePlan plan;
    AnswerText text;
    std::optional<RequestId> id;
    std::vector<PromptOutput> prompt;
    bool echoed = false;
    bool ended = false;
  };

  void OnPrompt(std::size_t index, PromptOutput output);
  void OnToken(std::size_t index, const GeneratedToken& token);
  void OnEnd(std::size_t index, const GenerationEnd& end);
  void Echo(std::size_t index);
  void Emit(std::size_t index, Piece piece);
  void Fail(const ApiError& error);
  void CancelAll();

  std::shared_ptr<Exchange> exchange_;
  Generator& generator_;
  const model::text::Tokenizer& tokenizer_;
  std::unique_ptr<AnswerWriter> writer_;
  std::vector<Choice> choices_;
  std::size_t running_ = 0;
  Usage usage_;
  bool over_ = false;  // the writer has had its last word
};

}  // namespace bramble::coordinator
