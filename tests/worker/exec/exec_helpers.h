// What the tests of worker/exec share: a source of weights in memory, steps, and runs of whole
// prompts.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "bramble/v1/run.pb.h"
#include "tests/proto/small_program.h"
#include "worker/exec/executor.h"

namespace bramble::worker::testing {

class MapSource final : public WeightSource {
 public:
  explicit MapSource(const std::map<std::string, std::vector<std::byte>>& bytes) : bytes_(bytes) {}
  Result<std::span<const std::byte>> Bytes(const v1::Weight& weight) override {
    const auto found = bytes_.find(weight.sha256());
    if (found == bytes_.end()) return NotFound("no such weight");
    return std::span<const std::byte>(found->second);
  }

 private:
  const std::map<std::string, std::vector<std::byte>>& bytes_;
};

inline v1::Limits SmallLimits() {
  v1::Limits limits;
  limits.set_max_rows(48);
  limits.set_max_outputs(48);
  limits.set_max_sequences(4);
  limits.set_pages(40);
  limits.set_page_positions(8);
  return limits;
}

inline std::unique_ptr<Executor> MakeExecutor(
    const v1::Program& program, const std::map<std::string, std::vector<std::byte>>& bytes,
    int threads = 1, const std::string& isa = "", const v1::Limits& limits = SmallLimits()) {
  MapSource source(bytes);
  ExecutorOptions options;
  options.threads = threads;
  options.isa = isa;
  auto executor = Executor::Create(program, limits, options, source);
  EXPECT_TRUE(executor.ok()) << executor.status().message();
  return executor.ok() ? *std::move(executor) : nullptr;
}

// Ids first .. last - 1 of `ids` as the next span of a slot, with an output of all logits for each
// row. The slot's pages are `slot * 10`, `slot * 10 + 3`, ... within its own ten: not in order. A
// span at 0 starts the sequence.
inline void AddSpan(v1::Step& step, std::uint32_t slot, const std::vector<std::uint32_t>& ids,
                    std::size_t first, std::size_t last, std::uint32_t page_positions = 8) {
  v1::Span& span = *step.add_spans();
  span.set_sequence(slot);
  span.set_position(static_cast<std::uint32_t>(first));
  const std::size_t known_pages = (first + page_positions - 1) / page_positions;
  const std::size_t pages = (last + page_positions - 1) / page_positions;
  for (std::size_t p = known_pages; p < pages; ++p) {
    span.add_pages(static_cast<std::uint32_t>(slot * 10 + p * 3 % 10));
  }
  if (first == 0) {
    span.mutable_start()->set_prompt_ids(static_cast<std::uint32_t>(ids.size()));
    span.mutable_start()->mutable_sampling()->set_top_p(1);
    span.mutable_start()->mutable_sampling()->set_repetition_penalty(1);
  }
  for (std::size_t i = first; i < last; ++i) {
    span.add_ids(ids[i]);
    v1::Output& output = *span.add_outputs();
    output.set_row(static_cast<std::uint32_t>(i - first));
    output.set_logits(true);
    output.set_draw(true);
  }
}

// Runs a step on executors that hold consecutive parts of a program.
inline Status RunParts(const std::vector<Executor*>& parts, const v1::Step& step,
                       std::vector<v1::OutputResult>& results) {
  std::vector<std::string> crossing;
  for (Executor* part : parts) {
    std::vector<std::span<const std::byte>> inputs;
    for (const std::string& bytes : crossing) {
      inputs.push_back(std::as_bytes(std::span(bytes.data(), bytes.size())));
    }
    StepOutput out;
    const Status status = part->Run(step, inputs, out);
    if (!status.ok()) return status;
    crossing = std::move(out.activations);
    results = std::move(out.outputs);
  }
  return {};
}

// The logits of every position of `ids`, as bytes, computed in chunks of `chunk` in slot `slot`.
inline std::vector<std::string> LogitsOf(const std::vector<Executor*>& parts,
                                         const std::vector<std::uint32_t>& ids, std::size_t chunk,
                                         std::uint32_t slot = 0) {
  std::vector<std::string> logits;
  for (std::size_t first = 0; first < ids.size(); first += chunk) {
    v1::Step step;
    if (first == 0) step.add_closed(slot);
    AddSpan(step, slot, ids, first, std::min(first + chunk, ids.size()));
    std::vector<v1::OutputResult> results;
    const Status status = RunParts(parts, step, results);
    EXPECT_TRUE(status.ok()) << status.message();
    for (const v1::OutputResult& result : results) logits.push_back(result.logits());
  }
  return logits;
}

inline std::vector<std::uint32_t> SomeIds(std::size_t count, std::uint32_t vocabulary,
                                          std::uint32_t seed = 7) {
  std::vector<std::uint32_t> ids;
  std::minstd_rand random(seed);
  for (std::size_t i = 0; i < count; ++i)
    ids.push_back(static_cast<std::uint32_t>(random() % vocabulary));
  return ids;
}

}  // namespace bramble::worker::testing
