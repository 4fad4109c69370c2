#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "kernels/matmul.h"
#include "proto/program/moe.h"
#include "worker/exec/binder.h"
#include "worker/exec/task.h"

namespace bramble::worker {

// What the tasks of a mixture of experts share (expert_tasks.cc).

// A thread's own scratch.
class ThreadScratch {
 public:
  explicit ThreadScratch(const Binder& binder)
      : base_(binder.thread_scratch), bytes_(binder.thread_scratch_bytes) {}
  float* of(int thread) const {
    return reinterpret_cast<float*>(base_ + static_cast<std::size_t>(thread) * bytes_);
  }

 private:
  std::byte* base_;
  std::size_t bytes_;
};

// Which rows go through which experts, in a buffer of the arena.
struct ExpertPlan {
  // So few rows are always evenly spaced: a product may read them where they are.
  static constexpr std::size_t kEvenRows = 2;

  ExpertPlan() = default;
  ExpertPlan(const Binder& binder, const program::Node& node);

  program::ExpertPlanHead& head() const {
    return *reinterpret_cast<program::ExpertPlanHead*>(data);
  }
  program::ChosenExpert* experts() const {
    return reinterpret_cast<program::ChosenExpert*>(data + sizeof(program::ExpertPlanHead));
  }
  // Behind the most experts that so many rows can choose.
  program::ExpertSlot* slots(std::size_t rows) const {
    return reinterpret_cast<program::ExpertSlot*>(experts() + rows * slots_per_row);
  }

  std::byte* data = nullptr;
  std::size_t slots_per_row = 0;
};

// Outputs [first, end) of an expert; `first` is a multiple of 16, `end` too or all that there are.
struct OutputRange {
  std::size_t first;
  std::size_t end;
};

// One matrix for each expert.
class ExpertMatrices {
 public:
  ExpertMatrices() = default;
  // `bias`: [experts, outputs], or null.
  ExpertMatrices(const Binder& binder, const std::vector<const LoadedWeight*>& stack,
                 const float* bias);

  // Writes [rows, outputs of the range] to `products`.
  void Multiply(std::size_t expert, const RowsView& input, std::size_t rows,
                const OutputRange& outputs, float* products) const;

  std::size_t outputs() const { return shape_.outputs; }

 private:
  const kernels::MatmulKernel* kernel_ = nullptr;
  kernels::MatmulShape shape_{};
  std::size_t panel_bytes_ = 0;
  std::vector<const std::byte*> packed_;  // [expert]
  const float* bias_ = nullptr;
};

// How many rows of `row_bytes` are multiplied at once: as many as stay in a core's second cache.
std::size_t RowsAtOnce(std::size_t row_bytes);

// The operation itself: items are panels of 16 outputs, which each multiply with all experts and
// sum, so that only sums leave the first cache.
std::unique_ptr<Task> BindExpertSums(const Binder& binder, const program::Node& node);

}  // namespace bramble::worker
