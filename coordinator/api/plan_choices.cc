#include "coordinator/api/plan_choices.h"

#include <algorithm>
#include <ctime>
#include <utility>

#include "common/sha256.h"
#include "coordinator/api/joined.h"

namespace bramble::coordinator {
namespace {

std::uint64_t RandomSeed() {
  std::uint64_t seed = 0;
  for (const char byte : RandomBytes(sizeof seed))
    seed = seed << 8U | static_cast<unsigned char>(byte);
  return seed;
}

}  // namespace

std::optional<ApiError> LimitAnswer(const CommonFields& common, std::size_t prompt_tokens,
                                    std::uint32_t context, const std::string& param,
                                    std::uint32_t& max_tokens) {
  max_tokens = common.max_tokens.value_or(1);
  if (context == 0) return std::nullopt;
  const std::uint64_t answer = max_tokens;
  if (prompt_tokens + answer > context) {
    return BadField(
        param,
        Joined("the model's maximum context length is ", context, " tokens, but ",
               prompt_tokens + answer, " were asked for: ", prompt_tokens, " of the prompt and ",
               answer, " of the answer. Shorten the prompt or lower max_tokens"),
        "context_length_exceeded");
  }
  if (!common.max_tokens) max_tokens = static_cast<std::uint32_t>(context - prompt_tokens);
  return std::nullopt;
}

void PlanChoices(const CommonFields& common, const model::text::Tokenizer& tokenizer,
                 const GenerateRequest& request, const AnswerText::Options& text,
                 std::vector<ChoicePlan>& plans) {
  ChoicePlan plan;
  plan.request = request;
  plan.text = text;
  plan.stop_token_ids = common.stop_token_ids;
  std::vector<std::uint32_t>& ends = plan.request.end_ids;
  if (!common.ignore_eos) ends = tokenizer.EndIds();
  ends.insert(ends.end(), common.stop_token_ids.begin(), common.stop_token_ids.end());
  std::sort(ends.begin(), ends.end());
  ends.erase(std::unique(ends.begin(), ends.end()), ends.end());

  plan.text.stops = common.stops;
  plan.text.include_stop = common.include_stop;
  plan.text.min_tokens = common.min_tokens;
  plan.text.end_ids = ends;
  plan.request.sampling = common.sampling;
  if (common.min_tokens > 0) {
    plan.request.sampling.set_minimum_outputs(common.min_tokens);
    plan.request.sampling.mutable_ids_after_minimum()->Add(ends.begin(), ends.end());
  }
  const std::uint64_t seed = common.seed ? *common.seed : RandomSeed();
  for (std::uint32_t k = 0; k < common.n; ++k) {
    plan.request.sampling.set_seed(seed + k);
    plan.first_of_prompt = k == 0;
    plans.push_back(plan);
  }
}

ReplyFacts MakeFacts(const ServedModel& model, const char* prefix) {
  return {prefix + RandomBase32(26), std::time(nullptr), model.name, model.fingerprint};
}

void StartGeneration(const ApiOptions& api, std::shared_ptr<Exchange> exchange,
                     const CommonFields& common, std::vector<ChoicePlan> plans,
                     std::unique_ptr<ChoiceShape> shape, const char* id_prefix) {
  if (api.asked) api.asked(static_cast<std::uint32_t>(common.n));
  ReplyFacts facts = MakeFacts(api.model, id_prefix);
  const std::size_t choices = plans.size();
  auto writer = common.stream
                    ? MakeStreamWriter(exchange, std::move(shape), std::move(facts), choices,
                                       common.include_usage)
                    : MakeWholeWriter(exchange, std::move(shape), std::move(facts), choices);
  std::make_shared<Generation>(std::move(exchange), *api.generator, *api.model.tokenizer,
                               std::move(plans), std::move(writer))
      ->Start();
}

}  // namespace bramble::coordinator
