#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/metrics.h"
#include "coordinator/serve/clock.h"
#include "coordinator/serve/core.h"
#include "coordinator/serve/generator.h"
#include "tests/coordinator/serve/tiny_stages.h"

namespace bramble::coordinator {

// Time moves when the test says so. Thread-safe.
class ManualClock : public Clock {
 public:
  TimePoint Now() const override;
  void WaitUntil(Mutex& mutex, Condition& condition, TimePoint time) override REQUIRES(mutex);
  void Advance(std::chrono::milliseconds by);

 private:
  mutable Mutex mu_;
  TimePoint now_ GUARDED_BY(mu_){std::chrono::seconds(1000)};
  std::vector<std::pair<Mutex*, Condition*>> waiters_ GUARDED_BY(mu_);
};

// Keeps all that it hears.
struct Heard : public GenerationSink {
  std::vector<PromptOutput> prompt;
  std::vector<GeneratedToken> tokens;
  std::vector<GenerationEnd> ends;

  void OnPrompt(const PromptOutput& output) override { prompt.push_back(output); }
  void OnToken(const GeneratedToken& token) override { tokens.push_back(token); }
  void OnEnd(const GenerationEnd& end) override { ends.push_back(end); }

  std::vector<std::uint32_t> ids() const;
  bool ended() const { return ends.size() == 1; }
  const GenerationEnd& end() const { return ends.at(0); }
};

inline constexpr std::uint32_t kTinyVocabulary = 50;

// Roomy limits: 64 pages of 4 positions, 8 sequences, 32 rows, 8 outputs, a context of 128.
ServePlan TinyPlan(std::uint32_t stages);

// `count` ids that depend on `seed`.
std::vector<std::uint32_t> PromptOf(std::uint64_t seed, std::size_t count);
GenerateRequest Greedy(std::vector<std::uint32_t> prompt, std::uint32_t max_tokens);
GenerateRequest Seeded(std::vector<std::uint32_t> prompt, std::uint32_t max_tokens,
                       std::uint64_t seed);

// A scheduler's core over tiny stages, driven by hand: nothing happens between two calls.
class Bench {
 public:
  explicit Bench(const ServePlan& plan);

  std::shared_ptr<Heard> Submit(GenerateRequest request);
  void Cancel(std::uint64_t nth) {  // counted from 1
    core.Cancel(RequestId(nth));
    core.Pump();
  }
  // Executes the oldest step in flight.
  void RunOne();
  void RunAll();

  ManualClock clock;
  Metrics metrics{"tiny", 128, "test"};
  std::uint32_t ended = 0;
  Core core{clock, metrics, [this] { ++ended; }};
  std::shared_ptr<TinyStages> stages;

 private:
  std::uint64_t submitted_ = 0;
};

// What the request gets when it is alone, on one stage with room for everything.
std::shared_ptr<Heard> Alone(const GenerateRequest& request);

}  // namespace bramble::coordinator
