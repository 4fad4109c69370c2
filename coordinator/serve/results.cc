// Core: what came back from the workers.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <string>

#include "common/log.h"
#include "coordinator/serve/core.h"

namespace bramble::coordinator {
namespace {

// A request whose steps fail again and again, each time through somebody else's rows, is given up.
constexpr std::uint32_t kMostRetries = 3;

double Seconds(Clock::TimePoint from, Clock::TimePoint to) {
  return std::chrono::duration<double>(to - from).count();
}

std::vector<TokenProbability> TopOf(const v1::OutputResult& result) {
  std::vector<TokenProbability> top;
  top.reserve(static_cast<std::size_t>(result.top_size()));
  for (const v1::TopEntry& entry : result.top()) top.push_back({entry.id(), entry.logprob()});
  return top;
}

}  // namespace

// Nothing, if the sequence has ended or has another place by now.
Sequence* Core::Find(const Part& part) {
  const auto found = running_.find(part.id);
  if (found == running_.end() || found->second->place->number != part.place) return nullptr;
  return found->second;
}

bool Core::Matches(const InFlight& record, const v1::StepResult& result) const {
  if (!ValuesMatch(record, result)) return false;
  const std::size_t outputs = plan_.draws ? record.outputs.size() : 0;
  if (static_cast<std::size_t>(result.outputs_size()) != outputs) return false;
  for (int i = 0; i < result.outputs_size(); ++i) {
    const OutputOf& expected = record.outputs[static_cast<std::size_t>(i)];
    const v1::OutputResult& output = result.outputs(i);
    if (output.sequence() != expected.slot || output.position() != expected.position) return false;
    if (output.has_id() && output.id() >= plan_.vocabulary_size) return false;
  }
  return true;
}

// Each stream has the rows of its kind, all of them finite.
bool Core::ValuesMatch(const InFlight& record, const v1::StepResult& result) const {
  if (static_cast<std::size_t>(result.values_size()) != plan_.results.size()) return false;
  for (std::size_t i = 0; i < plan_.results.size(); ++i) {
    const ResultStream& stream = plan_.results[i];
    const std::size_t rows =
        stream.rows == v1::ROW_KIND_OUTPUT ? record.outputs.size() : record.parts.size();
    const std::string& values = result.values(static_cast<int>(i));
    if (values.size() != rows * stream.width * sizeof(float)) return false;
    for (std::size_t at = 0; at < values.size(); at += sizeof(float)) {
      float value = 0;
      std::memcpy(&value, values.data() + at, sizeof value);
      if (!std::isfinite(value)) return false;
    }
  }
  return true;
}

// What the streams that leave the program say of each sequence and of each output.
void Core::DeliverValues(const InFlight& record, const v1::StepResult& result) {
  for (std::size_t s = 0; s < plan_.results.size(); ++s) {
    const ResultStream& stream = plan_.results[s];
    const std::size_t bytes = stream.width * sizeof(float);
    const std::string& values = result.values(static_cast<int>(s));
    if (stream.rows == v1::ROW_KIND_SEQUENCE) {
      for (std::size_t i = 0; i < record.parts.size(); ++i) {
        const Sequence* sequence = Find(record.parts[i]);
        if (sequence == nullptr) continue;
        sequence->sink->OnSequence({stream.kind, values.substr(i * bytes, bytes)});
      }
      continue;
    }
    if (stream.kind != v1::RESULT_KIND_HIDDEN) continue;
    for (std::size_t i = 0; i < record.outputs.size(); ++i) {
      const OutputOf& output = record.outputs[i];
      Sequence* sequence = Find(record.parts[output.part]);
      if (sequence == nullptr) continue;
      sequence->prompt_reported = output.position + 1;
      PromptOutput prompt;
      prompt.position = output.position;
      prompt.logits = values.substr(i * bytes, bytes);
      sequence->sink->OnPrompt(prompt);
    }
  }
}

void Core::OnResult(const v1::StepResult& result) {
  if (!channel_ || result.epoch() != plan_.epoch) return;
  const auto found = in_flight_.find(result.number());
  if (found == in_flight_.end()) return;
  const InFlight record = std::move(found->second);
  in_flight_.erase(found);
  if (record.draws) --drawing_steps_;
  if (!Matches(record, result)) {
    v1::StepFailure failure;
    failure.set_number(result.number());
    failure.set_code(static_cast<std::uint32_t>(Code::kInternal));
    failure.set_message("the last stage's answer does not match the step's outputs");
    FailStep(record, failure);
    return;
  }
  for (int i = 0; i < result.stages_size(); ++i) {
    metrics_.StageSpent(static_cast<std::size_t>(i), 1e-6 * result.stages(i).compute_us(),
                        1e-6 * result.stages(i).wait_us());
  }
  Measure(record);
  for (const Part& part : record.parts) Computed(part);
  DeliverValues(record, result);
  for (std::size_t i = 0; i < record.outputs.size() && plan_.draws; ++i) {
    const OutputOf& output = record.outputs[i];
    if (Sequence* sequence = Find(record.parts[output.part])) {
      Deliver(*sequence, output.position, result.outputs(static_cast<int>(i)));
    }
  }
  // What draws nothing ends when all of it has been computed.
  for (const Part& part : record.parts) {
    Sequence* sequence = Find(part);
    if (sequence == nullptr || sequence->request.max_tokens > 0) continue;
    if (sequence->place->computed < sequence->ids.size()) continue;
    metrics_.PromptDone(static_cast<std::uint32_t>(sequence->request.prompt_ids.size()));
    End(*sequence, FinishReason::kLength, {});
  }
}

void Core::Measure(const InFlight& record) {
  const bool only_draws = std::all_of(record.parts.begin(), record.parts.end(),
                                      [](const Part& part) { return part.rows == 1; });
  if (!only_draws) return groups_.Disturb();
  groups_.Drew(CountDrawing(), static_cast<std::uint32_t>(record.parts.size()), clock_.Now());
}

// Only now others may use the pages: a step that fails leaves them half written.
void Core::Computed(const Part& part) {
  Sequence* sequence = Find(part);
  if (sequence == nullptr) return;
  Place& place = *sequence->place;
  place.computed = std::max(place.computed, part.first + part.rows);
  const std::uint32_t page_positions = pool_->page_positions();
  for (; (place.pages_published + 1) * page_positions <= place.computed; ++place.pages_published) {
    const auto ids = std::span<const std::uint32_t>(sequence->ids);
    place.last_key = NextPageKey(
        place.last_key, ids.subspan(place.pages_published * page_positions, page_positions));
    if (plan_.share_prefixes) pool_->Publish(place.pages[place.pages_published], place.last_key);
  }
}

void Core::Deliver(Sequence& sequence, std::uint32_t position, const v1::OutputResult& result) {
  DeliverPrompt(sequence, position, result);
  if (position + 1 == sequence.ids.size() && sequence.generated < sequence.request.max_tokens) {
    DeliverToken(sequence, result);
  }
}

void Core::DeliverPrompt(Sequence& sequence, std::uint32_t position,
                         const v1::OutputResult& result) {
  const GenerateRequest& request = sequence.request;
  if (position >= request.prompt_ids.size() || position < sequence.prompt_reported) return;
  const bool scored = request.prompt_logprobs && position + 1 < request.prompt_ids.size();
  const bool logits =
      std::binary_search(request.logits_at.begin(), request.logits_at.end(), position);
  sequence.prompt_reported = position + 1;
  if (!scored && !logits) return;
  PromptOutput output;
  output.position = position;
  if (scored) output.next_logprob = result.target_logprob();
  output.top = TopOf(result);
  if (logits) output.logits = result.logits();
  sequence.sink->OnPrompt(output);
}

void Core::DeliverToken(Sequence& sequence, const v1::OutputResult& result) {
  if (!result.has_id()) {
    End(sequence, FinishReason::kError,
        Internal("the last stage drew no id where one was asked for"));
    return;
  }
  const GenerateRequest& request = sequence.request;
  const Clock::TimePoint now = clock_.Now();
  if (!sequence.first_token) {
    sequence.first_token = now;
    metrics_.PromptDone(static_cast<std::uint32_t>(request.prompt_ids.size()));
    metrics_.FirstToken(Seconds(sequence.submitted, now));
  } else {
    metrics_.NextToken(Seconds(sequence.last_token, now));
  }
  sequence.last_token = now;
  sequence.ids.push_back(result.id());
  ++sequence.generated;
  GeneratedToken token;
  token.id = result.id();
  if (request.logprobs) {
    token.logprob = result.logprob();
    token.top = TopOf(result);
  }
  if (request.logits_of_tokens) token.logits = result.logits();
  sequence.sink->OnToken(token);
  const bool ends =
      std::find(request.end_ids.begin(), request.end_ids.end(), token.id) != request.end_ids.end();
  if (ends) {
    End(sequence, FinishReason::kEnd, {});
  } else if (sequence.generated == request.max_tokens) {
    End(sequence, FinishReason::kLength, {});
  }
}

void Core::OnFailure(const v1::StepFailure& failure) {
  if (!channel_ || failure.epoch() != plan_.epoch) return;
  const auto found = in_flight_.find(failure.number());
  if (found == in_flight_.end()) return;
  const InFlight record = std::move(found->second);
  in_flight_.erase(found);
  if (record.draws) --drawing_steps_;
  FailStep(record, failure);
}

// No stage after the one that failed has these rows, and a sequence can't be told to go back: each
// of them loses its place. If one sequence is at fault, or has been thrown out before (its later
// chunks fail for want of the earlier ones), the others start again from their ids. Otherwise all
// end.
void Core::FailStep(const InFlight& record, const v1::StepFailure& failure) {
  const auto code = failure.code() >= 1 && failure.code() <= 16 ? static_cast<Code>(failure.code())
                                                                : Code::kInternal;
  const Status status(code,
                      "step " + std::to_string(failure.number()) + " failed: " + failure.message());
  LogFailure("step failed", status, {{"epoch", plan_.epoch}, {"step", failure.number()}});
  const bool blames = failure.has_sequence();
  const bool inherited = std::any_of(record.parts.begin(), record.parts.end(),
                                     [&](const Part& part) { return Find(part) == nullptr; });
  for (const Part& part : record.parts) {
    Sequence* sequence = Find(part);
    if (sequence == nullptr) continue;
    const bool guilty = blames ? sequence->place->slot == failure.sequence() : !inherited;
    if (guilty || sequence->retries == kMostRetries) {
      End(*sequence, FinishReason::kError, status);
    } else {
      ++sequence->retries;
      Preempt(*sequence);
    }
  }
}

}  // namespace bramble::coordinator
