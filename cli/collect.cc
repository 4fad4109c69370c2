#include "cli/collect.h"

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

namespace bramble::cli {
namespace {

using coordinator::GeneratedToken;
using coordinator::GenerationEnd;
using coordinator::PromptOutput;

// Hands what the generator's thread says to the thread that waits.
class Collector : public coordinator::GenerationSink {
 public:
  void OnPrompt(const PromptOutput& output) override {
    const std::lock_guard lock(mu_);
    prompt_.push_back(output);
  }
  void OnSequence(const coordinator::SequenceOutput& output) override {
    const std::lock_guard lock(mu_);
    sequence_.push_back(output);
  }
  void OnToken(const GeneratedToken& token) override {
    {
      const std::lock_guard lock(mu_);
      tokens_.push_back(token);
    }
    changed_.notify_one();
  }
  void OnEnd(const GenerationEnd& end) override {
    {
      const std::lock_guard lock(mu_);
      end_ = end;
    }
    changed_.notify_one();
  }

  Generation Wait(const std::function<void(const GeneratedToken&)>& on_token) {
    std::unique_lock lock(mu_);
    std::size_t told = 0;
    while (true) {
      changed_.wait(lock, [&] { return end_.has_value() || told < tokens_.size(); });
      if (told == tokens_.size()) break;
      const GeneratedToken token = tokens_[told++];
      lock.unlock();
      if (on_token) on_token(token);
      lock.lock();
    }
    return {std::move(prompt_), std::move(tokens_), std::move(sequence_), *end_};
  }

 private:
  std::mutex mu_;
  std::condition_variable changed_;
  std::vector<PromptOutput> prompt_;
  std::vector<GeneratedToken> tokens_;
  std::vector<coordinator::SequenceOutput> sequence_;
  std::optional<GenerationEnd> end_;
};

}  // namespace

v1::Sampling GreedySampling() {
  v1::Sampling sampling;
  sampling.set_temperature(0);
  sampling.set_top_p(1);
  sampling.set_repetition_penalty(1);
  return sampling;
}

Result<Generation> Generate(coordinator::Generator& generator, coordinator::GenerateRequest request,
                            const std::function<void(const GeneratedToken&)>& on_token) {
  const auto collector = std::make_shared<Collector>();
  const auto id = generator.Submit(std::move(request), collector);
  if (!id.ok()) return id.status();
  Generation generation = collector->Wait(on_token);
  if (generation.end.reason == coordinator::FinishReason::kError) return generation.end.status;
  return generation;
}

}  // namespace bramble::cli
