#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "coordinator/cluster/members.h"
#include "coordinator/plan/plan.h"
#include "coordinator/serve/generator.h"
#include "coordinator/serve/serve_plan.h"

namespace bramble::coordinator {

// What one ended request adds to the books.
struct EndedRequest {
  FinishReason reason = FinishReason::kError;
  std::uint32_t prompt_tokens = 0;
  std::uint32_t generated_tokens = 0;
  std::uint32_t max_tokens = 0;
  // Negative: it did not come that far.
  double queue_seconds = -1;    // from Submit to the first step
  double prefill_seconds = -1;  // from the first step to the first token
  double decode_seconds = -1;   // from the first to the last token
  double total_seconds = 0;
};

// All metrics of the coordinator, one family a fact. Names starting with bramble_ are ours; those
// starting with vllm: are the ones that its dashboards ask for, fed from the same events with the
// same meaning, labels and buckets. Thread-safe. Labels are few: never a request, a user or a
// prompt.
class Metrics {
 public:
  // `model_name` is the served name, `context_length` bounds the buckets of token counts.
  Metrics(const std::string& model_name, std::uint32_t context_length, const std::string& version);
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // Prometheus text, version 0.0.4.
  std::string Text() const;

  // Of the scheduler.
  void Serving(const ServeSnapshot& now);
  void StepSent(std::uint32_t rows);
  void StageSpent(std::size_t stage, double compute_seconds, double wait_seconds);
  void PromptDone(std::uint32_t tokens);
  void PrefixLookedUp(std::uint32_t tokens, std::uint32_t found);
  void FirstToken(double seconds_since_submit);
  void NextToken(double seconds_since_last);
  void Preempted();
  void Refused(const char* reason);  // "queue_full", "invalid", "unavailable"
  void Ended(const EndedRequest& request);

  // Of the engine.
  void MembersAre(const std::vector<Member>& members);
  // A plan serves now; none: nullptr.
  void Planned(std::uint64_t epoch, const Plan* plan);
  void WorkerLost();

  // Of the HTTP side. A request asks for `n` choices.
  void Asked(std::uint32_t n);
  // `route` is one of the table's, "" for none.
  void Answered(const std::string& route, unsigned status, double seconds);

 private:
  struct Families;
  std::unique_ptr<Families> families_;
};

}  // namespace bramble::coordinator
