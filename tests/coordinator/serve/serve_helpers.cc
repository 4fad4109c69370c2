#include "tests/coordinator/serve/serve_helpers.h"

#include <algorithm>
#include <random>

namespace bramble::coordinator {

Clock::TimePoint ManualClock::Now() const {
  const MutexLock lock(mu_);
  return now_;
}

void ManualClock::WaitUntil(Mutex& mutex, Condition& condition, TimePoint time) {
  {
    const MutexLock lock(mu_);
    if (now_ >= time) return;
    waiters_.emplace_back(&mutex, &condition);
  }
  condition.Wait(mutex);
  const MutexLock lock(mu_);
  waiters_.erase(std::find(waiters_.begin(), waiters_.end(), std::pair(&mutex, &condition)));
}

void ManualClock::Advance(std::chrono::milliseconds by) {
  std::vector<std::pair<Mutex*, Condition*>> waiters;
  {
    const MutexLock lock(mu_);
    now_ += by;
    waiters = waiters_;
  }
  for (const auto& [mutex, condition] : waiters) {
    // Whoever has registered holds its mutex until it waits: after this it does.
    { const MutexLock passed(*mutex); }
    condition->NotifyAll();
  }
}

std::vector<std::uint32_t> Heard::ids() const {
  std::vector<std::uint32_t> ids;
  for (const GeneratedToken& token : tokens) ids.push_back(token.id);
  return ids;
}

ServePlan TinyPlan(std::uint32_t stages) {
  ServePlan plan;
  plan.epoch = 1;
  plan.stages = stages;
  plan.limits.set_max_rows(32);
  plan.limits.set_max_outputs(8);
  plan.limits.set_max_sequences(8);
  plan.limits.set_pages(64);
  plan.limits.set_page_positions(4);
  plan.context_length = 128;
  plan.vocabulary_size = kTinyVocabulary;
  return plan;
}

std::vector<std::uint32_t> PromptOf(std::uint64_t seed, std::size_t count) {
  std::mt19937_64 random(seed);
  std::vector<std::uint32_t> ids(count);
  for (std::uint32_t& id : ids) id = static_cast<std::uint32_t>(random() % kTinyVocabulary);
  return ids;
}

GenerateRequest Greedy(std::vector<std::uint32_t> prompt, std::uint32_t max_tokens) {
  GenerateRequest request;
  request.prompt_ids = std::move(prompt);
  request.max_tokens = max_tokens;
  request.sampling.set_top_p(1);
  request.sampling.set_repetition_penalty(1);
  return request;
}

GenerateRequest Seeded(std::vector<std::uint32_t> prompt, std::uint32_t max_tokens,
                       std::uint64_t seed) {
  GenerateRequest request = Greedy(std::move(prompt), max_tokens);
  request.sampling.set_temperature(1);
  request.sampling.set_seed(seed);
  return request;
}

Bench::Bench(const ServePlan& plan)
    : stages(std::make_shared<TinyStages>(plan.limits, plan.vocabulary_size)) {
  core.Attach(plan, stages);
}

std::shared_ptr<Heard> Bench::Submit(GenerateRequest request) {
  auto heard = std::make_shared<Heard>();
  core.Submit(RequestId(++submitted_), std::move(request), heard, clock.Now());
  core.Pump();
  return heard;
}

void Bench::RunOne() {
  const TinyStages::Answer answer = stages->Run();
  if (const auto* result = std::get_if<v1::StepResult>(&answer)) {
    core.OnResult(*result);
  } else {
    core.OnFailure(std::get<v1::StepFailure>(answer));
  }
  core.Pump();
}

void Bench::RunAll() {
  while (!stages->idle()) RunOne();
}

std::shared_ptr<Heard> Alone(const GenerateRequest& request) {
  ServePlan plan = TinyPlan(1);
  plan.limits.set_max_rows(128);
  plan.limits.set_max_outputs(128);
  plan.limits.set_pages(512);
  plan.context_length = 2048;
  Bench bench(plan);
  std::shared_ptr<Heard> heard = bench.Submit(request);
  bench.RunAll();
  return heard;
}

}  // namespace bramble::coordinator
