#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "bramble/v1/run.pb.h"
#include "coordinator/serve/step_channel.h"

namespace bramble::coordinator {

// A whole pipeline with a model so small that its arithmetic is a hash: a cell of the cache holds
// the hash of its id and of the cell before, a row's logits are hashed from all cells that it sees
// through its page table. So whatever is wrong with pages, positions, order or slots changes every
// id that follows. Checks each step against the protocol and throws std::logic_error where it is
// broken. Steps wait until Run() takes the oldest. One thread.
class TinyStages : public StepChannel {
 public:
  using Answer = std::variant<v1::StepResult, v1::StepFailure>;

  TinyStages(const v1::Limits& limits, std::uint32_t vocabulary_size);

  void Send(v1::Step step) override;

  bool idle() const { return queue_.empty(); }
  const std::deque<v1::Step>& queue() const { return queue_; }
  // Executes the oldest step. Requires that there is one.
  Answer Run();
  // The oldest step fails instead; what it would have written is not written.
  v1::StepFailure Fail(std::optional<std::uint32_t> guilty_slot, const std::string& message);

 private:
  struct Sequence {
    std::vector<std::uint32_t> ids;
    std::vector<std::uint32_t> pages;
    v1::Sampling sampling;
    std::uint32_t prompt_ids = 0;
  };

  v1::Step Pop();
  void CheckStep(const v1::Step& step) const;
  void TakeSpan(const v1::Span& span);
  std::uint64_t& Cell(const Sequence& sequence, std::size_t position);
  std::vector<float> Logits(const Sequence& sequence, std::size_t position);
  v1::OutputResult Produce(const v1::Span& span, const v1::Output& output);

  const v1::Limits limits_;
  const std::uint32_t vocabulary_size_;
  std::uint64_t last_number_ = 0;
  std::deque<v1::Step> queue_;
  std::map<std::uint32_t, Sequence> open_;
  std::vector<std::uint64_t> cells_;
};

}  // namespace bramble::coordinator
