#include <nlohmann/json.hpp>
#include <utility>

#include "coordinator/api/completion_request.h"
#include "coordinator/api/endpoints.h"
#include "coordinator/api/plan_choices.h"

namespace bramble::coordinator {
namespace {

std::optional<ApiError> PlanPrompt(const Call& call, const CompletionRequest& request,
                                   const Prompt& prompt, std::vector<ChoicePlan>& plans) {
  const model::text::Tokenizer& tokenizer = *call.api.model.tokenizer;
  GenerateRequest generate;
  generate.prompt_ids = prompt.ids;
  auto error = LimitAnswer(request.common, prompt.ids.size(), call.api.context_length(), "prompt",
                           generate.max_tokens);
  if (error) return error;
  generate.logprobs = request.logprobs.has_value();
  generate.top_logprobs = request.logprobs.value_or(0);
  generate.prompt_logprobs = request.echo && request.logprobs;
  generate.request_id = call.request.request_id;
  AnswerText::Options text;
  text.entries = request.logprobs.has_value();
  if (request.echo)
    text.offset = CountCharacters(prompt.text ? *prompt.text : tokenizer.Decode(prompt.ids));
  const std::size_t before = plans.size();
  PlanChoices(request.common, tokenizer, generate, text, plans);
  for (std::size_t i = before; i < plans.size(); ++i) {
    plans[i].echo = request.echo;
    plans[i].prompt_text = prompt.text;
  }
  return std::nullopt;
}

}  // namespace

void ServeCompletions(const Call& call) {
  Json body;
  CompletionRequest request;
  const ServedModel& model = call.api.model;
  auto error = ParseBody(call.request.body, body);
  if (!error) error = ReadCompletionRequest(body, model, request);
  if (!error && model.tokenizer == nullptr) {
    error = BadField({},
                     "the model '" + model.name +
                         "' has no tokenizer that can be used: its answers have no text",
                     "not_supported");
  }
  std::vector<ChoicePlan> plans;
  for (std::size_t i = 0; i < request.prompts.size() && !error; ++i) {
    error = PlanPrompt(call, request, request.prompts[i], plans);
  }
  if (error) return call.exchange->Reply(ErrorReply(*error));
  StartGeneration(call.api, call.exchange, request.common, std::move(plans),
                  MakeCompletionShape(*model.tokenizer, request.logprobs.has_value()), "cmpl-");
}

}  // namespace bramble::coordinator
