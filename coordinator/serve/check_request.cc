#include "coordinator/serve/check_request.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

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

// What a plan without ids, or with whole sequences, cannot do.
Status CheckResults(const GenerateRequest& request, const ServePlan& plan) {
  if (!plan.draws && (request.max_tokens > 0 || request.prompt_logprobs)) {
    return Invalid(
        "this model writes no text, it answers with vectors: ask for embeddings instead");
  }
  if (plan.whole_sequences && request.logits_at.size() > plan.limits.max_outputs()) {
    return Invalid("the values of ", request.logits_at.size(),
                   " positions are asked for; this model gives at most ", plan.limits.max_outputs(),
                   " at once");
  }
  if (!request.types.empty() && request.types.size() != request.prompt_ids.size()) {
    return Invalid("there are ", request.types.size(), " token types for ",
                   request.prompt_ids.size(), " prompt ids");
  }
  return {};
}

Status CheckSource(const GenerateRequest& request, const ServePlan& plan) {
  if (!plan.start_id) {
    if (request.source_ids.empty()) return {};
    return Invalid("a source was given, and this model reads none");
  }
  if (request.source_ids.empty()) {
    return Invalid("the source is empty: at least one id is needed");
  }
  if (request.prompt_logprobs) {
    return Invalid("this model does not predict its prompt: there are no log-probabilities of it");
  }
  const std::size_t most = std::min(plan.context_length, plan.limits.max_rows());
  if (request.source_ids.size() > most) {
    return Invalid("the source has ", request.source_ids.size(), " ids, at most ", most,
                   " can be read");
  }
  return CheckIds(request.source_ids, plan.vocabulary_size, "source id");
}

}  // namespace

void CompleteRequest(GenerateRequest& request, const ServePlan& plan) {
  if (!plan.start_id || !request.source_ids.empty()) return;
  request.source_ids = std::move(request.prompt_ids);
  request.prompt_ids = {*plan.start_id};
}

Status CheckRequest(const GenerateRequest& request, const ServePlan& plan) {
  if (request.prompt_ids.empty()) return Invalid("the prompt is empty: at least one id is needed");
  const std::uint64_t prompt = request.prompt_ids.size();
  if (prompt + request.max_tokens > plan.context_length) {
    return Invalid("the prompt has ", prompt, " ids and up to ", request.max_tokens,
                   " more are to be drawn: together ", prompt + request.max_tokens,
                   ", but the context is ", plan.context_length);
  }
  RETURN_IF_ERROR(CheckIds(request.prompt_ids, plan.vocabulary_size, "prompt id"));
  RETURN_IF_ERROR(CheckResults(request, plan));
  RETURN_IF_ERROR(CheckSource(request, plan));
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
