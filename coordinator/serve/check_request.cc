#include "coordinator/serve/check_request.h"

#include <cmath>
#include <span>

namespace bramble::coordinator {
namespace {

constexpr std::uint32_t kMostTopLogprobs = 20;
constexpr std::size_t kMostEndIds = 1024;

Status CheckIds(std::span<const std::uint32_t> ids, std::uint32_t vocabulary_size,
                const char* what) {
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] >= vocabulary_size) {
      return Invalid(what, " ", i, " is ", ids[i], "; the vocabulary has ", vocabulary_size,
                     " ids, counted from 0");
    }
  }
  return {};
}

Status CheckRange(const char* name, double value, double low, double high) {
  if (std::isfinite(value) && value >= low && value <= high) return {};
  return Invalid(name, " is ", value, "; it must be from ", low, " to ", high);
}

Status CheckSampling(const v1::Sampling& sampling, std::uint32_t vocabulary_size) {
  RETURN_IF_ERROR(CheckRange("temperature", sampling.temperature(), 0, 1e6));
  RETURN_IF_ERROR(CheckRange("top_p", sampling.top_p(), 0, 1));
  RETURN_IF_ERROR(CheckRange("min_p", sampling.min_p(), 0, 1));
  RETURN_IF_ERROR(CheckRange("repetition_penalty", sampling.repetition_penalty(), 1e-6, 1e6));
  RETURN_IF_ERROR(CheckRange("presence_penalty", sampling.presence_penalty(), -1e6, 1e6));
  RETURN_IF_ERROR(CheckRange("frequency_penalty", sampling.frequency_penalty(), -1e6, 1e6));
  for (const v1::LogitBias& bias : sampling.bias()) {
    if (bias.id() >= vocabulary_size) {
      return Invalid("logit bias names id ", bias.id(), "; the vocabulary has ", vocabulary_size);
    }
    RETURN_IF_ERROR(CheckRange("logit bias", bias.value(), -1e6, 1e6));
  }
  return CheckIds({sampling.ids_after_minimum().data(),
                   static_cast<std::size_t>(sampling.ids_after_minimum_size())},
                  vocabulary_size, "id after the minimum");
}

}  // namespace

Status CheckRequest(const GenerateRequest& request, const ServePlan& plan) {
  if (request.prompt_ids.empty()) return Invalid("the prompt is empty: at least one id is needed");
  const std::uint64_t prompt = request.prompt_ids.size();
  if (prompt + request.max_tokens > plan.context_length) {
    return Invalid("the prompt has ", prompt, " ids and up to ", request.max_tokens,
                   " more are to be drawn: together ", prompt + request.max_tokens,
                   ", but the context is ", plan.context_length);
  }
  RETURN_IF_ERROR(CheckIds(request.prompt_ids, plan.vocabulary_size, "prompt id"));
  if (request.end_ids.size() > kMostEndIds) {
    return Invalid("there are ", request.end_ids.size(), " end ids; at most ", kMostEndIds);
  }
  if (request.top_logprobs > kMostTopLogprobs) {
    return Invalid("top_logprobs is ", request.top_logprobs, "; it is at most ", kMostTopLogprobs);
  }
  for (std::size_t i = 0; i < request.logits_at.size(); ++i) {
    if (request.logits_at[i] >= prompt) {
      return Invalid("logits of position ", request.logits_at[i], " are asked for; the prompt has ",
                     prompt, " positions, counted from 0");
    }
    if (i > 0 && request.logits_at[i] <= request.logits_at[i - 1]) {
      return Invalid("the positions whose logits are asked for must rise");
    }
  }
  // What only scores draws nothing, and need not say how.
  return request.max_tokens == 0 ? Status() : CheckSampling(request.sampling, plan.vocabulary_size);
}

}  // namespace bramble::coordinator
