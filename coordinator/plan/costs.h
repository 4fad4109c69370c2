#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "coordinator/plan/plan.h"

namespace bramble::coordinator {

// What any run of consecutive blocks costs on any device, looked up in constant time. Blocks are
// half-open ranges [first, end) with first < end <= blocks(). Immutable after construction; memory
// grows with the square of the blocks.
class Costs {
 public:
  // Requires at least one block and one device.
  explicit Costs(const PlanRequest& request);

  std::size_t blocks() const { return blocks_; }
  std::size_t devices() const { return limits_.size(); }

  // Equal content is counted once: a tied embedding costs nothing more where its twin lies.
  std::uint64_t WeightBytes(std::size_t first, std::size_t end) const;
  std::uint64_t PageBytes(std::size_t first, std::size_t end) const;  // one page in every cache
  std::uint64_t BufferBytes(std::size_t first, std::size_t end) const;
  // All that a worker needs for the range, its fixed part included.
  std::uint64_t Needed(std::size_t first, std::size_t end, std::uint64_t pages) const;
  std::uint64_t limit(std::size_t device) const { return limits_[device]; }

  // Expected seconds of one decoded row, without the way to the next worker.
  double RowSeconds(std::size_t device, std::size_t first, std::size_t end) const;
  // Expected seconds from the end of block `end - 1` on `device` to the next worker, or back to the
  // coordinator.
  double HopSeconds(std::size_t device, std::size_t end) const;
  // Expected seconds of one row among many; 0 where the device has not measured it.
  double PrefillSeconds(std::size_t device, std::size_t first, std::size_t end) const;

 private:
  void SumWeights(const std::vector<BlockSummary>& blocks);
  void SumTimes(const PlanRequest& request);
  std::size_t RangeIndex(std::size_t first, std::size_t end) const {
    return first * (blocks_ + 1) + end;
  }

  std::size_t blocks_ = 0;
  std::uint64_t fixed_bytes_ = 0;
  std::vector<std::uint64_t> limits_;
  std::vector<std::uint64_t> weight_bytes_;   // by range
  std::vector<std::uint64_t> buffer_bytes_;   // by range
  std::vector<std::uint64_t> page_bytes_;     // of all blocks before
  std::vector<double> output_seconds_;        // by the block that ends a stage
  std::vector<double> hop_seconds_;           // by device
  std::vector<std::vector<double>> row_;      // by device, of all blocks before
  std::vector<std::vector<double>> prefill_;  // by device, of all blocks before
};

}  // namespace bramble::coordinator
