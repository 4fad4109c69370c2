#include "coordinator/api/generation.h"

#include <algorithm>
#include <utility>

namespace bramble::coordinator {

// Called on the generator's thread: hands over, nothing else.
class Generation::Sink final : public GenerationSink {
 public:
  Sink(std::shared_ptr<Generation> generation, std::size_t index)
      : generation_(std::move(generation)), index_(index) {}

  void OnPrompt(const PromptOutput& output) override {
    generation_->exchange_->Post([g = generation_, i = index_, output] { g->OnPrompt(i, output); });
  }
  void OnToken(const GeneratedToken& token) override {
    generation_->exchange_->Post([g = generation_, i = index_, token] { g->OnToken(i, token); });
  }
  void OnEnd(const GenerationEnd& end) override {
    generation_->exchange_->Post([g = generation_, i = index_, end] { g->OnEnd(i, end); });
  }

 private:
  std::shared_ptr<Generation> generation_;
  const std::size_t index_;
};

Generation::Generation(std::shared_ptr<Exchange> exchange, Generator& generator,
                       const model::text::Tokenizer& tokenizer, std::vector<ChoicePlan> plans,
                       std::unique_ptr<AnswerWriter> writer)
    : exchange_(std::move(exchange)),
      generator_(generator),
      tokenizer_(tokenizer),
      writer_(std::move(writer)) {
  choices_.reserve(plans.size());
  for (ChoicePlan& plan : plans) {
    AnswerText text(tokenizer, plan.text);
    choices_.push_back({std::move(plan), std::move(text), {}, {}, false, false});
  }
}

void Generation::Start() {
  exchange_->OnGone([weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self || self->over_) return;
    ApiError error;
    error.status = 499;
    error.code = "client_closed_request";
    error.message = "the client closed its side of the connection, so the request was given up";
    self->Fail(error);
  });
  for (std::size_t i = 0; i < choices_.size(); ++i) {
    Choice& choice = choices_[i];
    auto id = generator_.Submit(choice.plan.request, std::make_shared<Sink>(shared_from_this(), i));
    if (!id.ok()) return Fail(FromStatus(id.status()));
    choice.id = *id;
    ++running_;
    if (choice.plan.first_of_prompt) usage_.prompt_tokens += choice.plan.request.prompt_ids.size();
  }
  writer_->Begin();
}

void Generation::OnPrompt(std::size_t index, PromptOutput output) {
  choices_[index].prompt.push_back(std::move(output));
}

void Generation::OnToken(std::size_t index, const GeneratedToken& token) {
  Choice& choice = choices_[index];
  if (over_ || choice.text.stop_string()) return;
  Echo(index);
  Emit(index, choice.text.Add(token));
  // The text is complete. The generator need not know why.
  if (choice.text.stop_string()) generator_.Cancel(*choice.id);
}

void Generation::OnEnd(std::size_t index, const GenerationEnd& end) {
  Choice& choice = choices_[index];
  choice.ended = true;
  --running_;
  if (over_) return;
  const bool stopped = choice.text.stop_string().has_value();
  if (!stopped && end.reason == FinishReason::kError) return Fail(FromStatus(end.status));
  if (!stopped && end.reason == FinishReason::kCancelled) {
    return Fail(FromStatus(Unavailable("the server is stopping: the request was given up")));
  }
  Echo(index);
  Emit(index, choice.text.Finish());
  ChoiceEnd finished;
  finished.finish_reason =
      choice.text.stop_string() || end.reason == FinishReason::kEnd ? "stop" : "length";
  if (choice.text.stop_string()) {
    finished.stop_reason = *choice.text.stop_string();
  } else if (const auto end_id = choice.text.end_id()) {
    const auto& named = choice.plan.stop_token_ids;
    if (std::find(named.begin(), named.end(), *end_id) != named.end())
      finished.stop_reason = *end_id;
  }
  writer_->EndChoice(index, std::move(finished));
  usage_.completion_tokens += choice.text.tokens();
  if (choice.plan.first_of_prompt) usage_.cached_tokens += end.cached_prompt_tokens;
  if (running_ > 0) return;
  over_ = true;
  writer_->End(usage_);
}

// The prompt in front of the answer; its log-probabilities are all here once the first token is.
void Generation::Echo(std::size_t index) {
  Choice& choice = choices_[index];
  if (!choice.plan.echo || std::exchange(choice.echoed, true)) return;
  const GenerateRequest& request = choice.plan.request;
  Emit(index, EchoPrompt(tokenizer_, request.prompt_ids, choice.plan.prompt_text, choice.prompt,
                         choice.plan.text.entries));
}

void Generation::Emit(std::size_t index, Piece piece) {
  if (!piece.empty()) writer_->Add(index, std::move(piece));
}

void Generation::Fail(const ApiError& error) {
  if (std::exchange(over_, true)) return;
  CancelAll();
  writer_->Fail(error);
}

void Generation::CancelAll() {
  for (const Choice& choice : choices_) {
    if (choice.id && !choice.ended) generator_.Cancel(*choice.id);
  }
}

}  // namespace bramble::coordinator
