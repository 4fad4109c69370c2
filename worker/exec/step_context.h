#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include "bramble/v1/run.pb.h"
#include "common/status.h"
#include "worker/exec/sequences.h"

namespace bramble::worker {

// The first value that is not finite: of the lowest node, then the lowest row, whichever thread
// finds it first.
class FirstFault {
 public:
  void Clear() { key_.store(kNone, std::memory_order_relaxed); }

  // Any thread. `node`: index into Schedule.nodes; `row`: into the rows of that node's kind.
  void Report(std::uint32_t node, std::uint32_t row) {
    const std::uint64_t key = (std::uint64_t{node} << 32U) | row;
    std::uint64_t seen = key_.load(std::memory_order_relaxed);
    while (key < seen && !key_.compare_exchange_weak(seen, key, std::memory_order_relaxed)) {
    }
  }

  bool any() const { return key_.load(std::memory_order_relaxed) != kNone; }
  std::uint32_t node() const { return static_cast<std::uint32_t>(key_.load() >> 32U); }
  std::uint32_t row() const { return static_cast<std::uint32_t>(key_.load()); }

 private:
  static constexpr std::uint64_t kNone = std::numeric_limits<std::uint64_t>::max();
  std::atomic<std::uint64_t> key_{kNone};
};

// What the tasks of a step read, and where their results and faults go.
struct StepContext {
  const Sequences* sequences = nullptr;
  std::span<const Row> rows;
  std::span<const Row> sources;
  std::span<const SpanRows> spans;
  std::span<const OutputRow> outputs;
  int threads = 1;  // of the team
  FirstFault* fault = nullptr;
  std::span<v1::OutputResult> results;  // of the sample, one for each output
  // Not ok once another member has ended the step. Written by one task, read between levels.
  Status* interruption = nullptr;
};

}  // namespace bramble::worker
