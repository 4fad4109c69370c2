#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "common/status.h"
#include "coordinator/metrics.h"
#include "coordinator/serve/clock.h"
#include "coordinator/serve/generator.h"
#include "coordinator/serve/groups.h"
#include "coordinator/serve/pages.h"
#include "coordinator/serve/sequence.h"
#include "coordinator/serve/serve_plan.h"
#include "coordinator/serve/step_channel.h"

namespace bramble::coordinator {

// The scheduler's state and its rules; scheduler.h puts it on a thread of its own. After any call
// Pump() sends what can be sent. One thread; calls sinks.
//
// A step carries one row for each of some sequences that draw, and chunks of prompts beside them.
// With S stages there are at most S steps with drawing rows in flight (each sequence is in one of
// them) and S + 1 steps in all: sequences are spread over S groups, so that every stage has work,
// and a group that comes back goes out again at once. Prompts take turns, and may not take the
// places in flight that drawing sequences need.
class Core {
 public:
  // `metrics` and `clock` outlive it. `ended` is called once for each request, just before its
  // sink's OnEnd: who hears the end finds the place free.
  Core(const Clock& clock, Metrics& metrics, std::function<void()> ended);

  // Begins to serve. Requires that nothing is attached.
  void Attach(const ServePlan& plan, std::shared_ptr<StepChannel> channel);
  // Ends every request with `why` and lets the channel go.
  void Detach(const Status& why);
  bool attached() const { return channel_ != nullptr; }

  // A request that can't be served ends at once.
  void Submit(RequestId id, GenerateRequest request, std::shared_ptr<GenerationSink> sink,
              Clock::TimePoint submitted);
  void Cancel(RequestId id);
  void CancelAll();
  void OnResult(const v1::StepResult& result);
  void OnFailure(const v1::StepFailure& failure);
  // Ends requests whose deadline has come.
  void EndOverdue();
  std::optional<Clock::TimePoint> NextDeadline() const;

  void Pump();

  ServeSnapshot snapshot() const;

 private:
  // Rows of one sequence in a step.
  struct Part {
    RequestId id;
    std::uint64_t place = 0;
    std::uint32_t first = 0;  // position
    std::uint32_t rows = 0;
  };
  struct OutputOf {
    std::size_t part = 0;
    std::uint32_t slot = 0;
    std::uint32_t position = 0;
  };
  struct InFlight {
    std::vector<Part> parts;
    std::vector<OutputOf> outputs;
    bool draws = false;  // has drawing rows; else only prompts
  };
  struct Draft {
    v1::Step step;
    InFlight record;
    std::uint32_t rows = 0;
    std::size_t sources = 0;  // rows of sources
  };

  // places.cc: who has a place, who waits, who ends.
  void AdmitWaiting();
  bool Admit(Sequence& sequence);
  void GiveUpPlace(Sequence& sequence);
  void Preempt(Sequence& sequence);
  bool EnsurePage(Sequence& sequence);
  void End(Sequence& sequence, FinishReason reason, const Status& status);
  void EndAll(FinishReason reason, const Status& status);

  // steps.cc: what the next step is.
  bool SendNext();
  void AddDrawing(Draft& draft);
  void AddPrompts(Draft& draft);
  void AddSpan(Draft& draft, Sequence& sequence, std::uint32_t rows);
  bool SourceFits(const Draft& draft, const Sequence& sequence) const;
  std::uint32_t RowsWithin(const Sequence& sequence, std::uint32_t rows,
                           std::uint32_t outputs) const;
  std::optional<v1::Output> OutputAt(const Sequence& sequence, std::uint32_t position) const;
  std::vector<Sequence*> LongestUnserved(bool drawing) const;
  std::uint32_t CountDrawing() const;

  // results.cc: what came back.
  Sequence* Find(const Part& part);
  bool Matches(const InFlight& record, const v1::StepResult& result) const;
  bool ValuesMatch(const InFlight& record, const v1::StepResult& result) const;
  void DeliverValues(const InFlight& record, const v1::StepResult& result);
  void Measure(const InFlight& record);
  void Computed(const Part& part);
  void Deliver(Sequence& sequence, std::uint32_t position, const v1::OutputResult& result);
  void DeliverPrompt(Sequence& sequence, std::uint32_t position, const v1::OutputResult& result);
  void DeliverToken(Sequence& sequence, const v1::OutputResult& result);
  void FailStep(const InFlight& record, const v1::StepFailure& failure);

  const Clock& clock_;
  Metrics& metrics_;
  const std::function<void()> ended_;

  ServePlan plan_;
  std::shared_ptr<StepChannel> channel_;
  std::unique_ptr<PagePool> pool_;
  std::vector<std::uint32_t> free_slots_;
  std::vector<std::uint32_t> closed_;  // slots that the next step closes
  std::uint64_t places_ = 0;           // given so far
  std::uint64_t steps_ = 0;            // sent so far, on this channel

  // By age: a lower id was submitted earlier.
  std::map<RequestId, std::unique_ptr<Sequence>> sequences_;
  std::map<RequestId, Sequence*> waiting_;
  std::map<RequestId, Sequence*> running_;
  std::map<std::uint64_t, InFlight> in_flight_;
  std::uint32_t drawing_steps_ = 0;  // of those in flight
  Groups groups_{1};
};

}  // namespace bramble::coordinator
