#include <utility>

#include "coordinator/api/chat_request.h"
#include "coordinator/api/endpoints.h"
#include "coordinator/api/plan_choices.h"

namespace bramble::coordinator {

void ServeChat(const Call& call) {
  Json body;
  ChatRequest request;
  const ServedModel& model = call.api.model;
  auto error = ParseBody(call.request.body, body);
  if (!error) error = ReadChatRequest(body, model, request);
  GenerateRequest generate;
  if (!error) {
    error = EncodeChat(request.messages, request.tools, request.template_variables,
                       request.add_generation_prompt, model, generate.prompt_ids);
  }
  if (!error) {
    error = LimitAnswer(request.common, generate.prompt_ids.size(), call.api.context_length(),
                        "messages", generate.max_tokens);
  }
  if (error) return call.exchange->Reply(ErrorReply(*error));

  generate.logprobs = request.logprobs;
  generate.top_logprobs = request.top_logprobs;
  generate.request_id = call.request.request_id;
  AnswerText::Options text;
  text.entries = request.logprobs;
  std::vector<ChoicePlan> plans;
  PlanChoices(request.common, *model.tokenizer, generate, text, plans);
  StartGeneration(call.api, call.exchange, request.common, std::move(plans),
                  MakeChatShape(*model.tokenizer, request.logprobs), "chatcmpl-");
}

}  // namespace bramble::coordinator
