#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "bramble/v1/program.pb.h"
#include "worker/exec/step_context.h"

namespace bramble::worker {

// A matrix of the arena: rows at a fixed distance.
struct RowsView {
  std::byte* data = nullptr;
  std::size_t stride = 0;  // bytes
  std::size_t width = 0;   // numbers of a row

  float* row(std::size_t r) const { return reinterpret_cast<float*>(data + r * stride); }
  std::byte* bytes(std::size_t r) const { return data + r * stride; }
};

// A part of a step that threads share out among themselves: items 0 .. Items() - 1, in any order,
// each once. Bound to its buffers and kernels when the program is loaded; a step changes nothing in
// it.
class Task {
 public:
  virtual ~Task() = default;
  Task() = default;
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;

  virtual std::uint64_t Items(const StepContext& step) const = 0;
  // Computes items [first, last). `thread` chooses scratch memory.
  virtual void Run(const StepContext& step, std::uint64_t first, std::uint64_t last,
                   int thread) const = 0;
  // True if handing it out would cost more than doing all of it on one thread.
  virtual bool IsSmall(const StepContext& step) const {
    static_cast<void>(step);
    return false;
  }
};

// Something that treats each row by itself.
class RowOperation {
 public:
  virtual ~RowOperation() = default;
  RowOperation() = default;
  RowOperation(const RowOperation&) = delete;
  RowOperation& operator=(const RowOperation&) = delete;

  // Columns [begin, end) of row `row`: 0 and width(), unless IsElementWise.
  virtual void Run(const StepContext& step, std::uint32_t row, std::size_t begin,
                   std::size_t end) const = 0;
  // Numbers that it makes of a row.
  virtual std::size_t width() const = 0;
  // Whether a row may be cut at any multiple of 32 columns.
  virtual bool IsElementWise() const { return false; }
};

// The row operations of one level and row kind, one after the other for each row.
class RowsTask final : public Task {
 public:
  RowsTask(v1::RowKind rows, std::vector<std::unique_ptr<RowOperation>> operations);
  std::uint64_t Items(const StepContext& step) const override;
  void Run(const StepContext& step, std::uint64_t first, std::uint64_t last,
           int thread) const override;
  bool IsSmall(const StepContext& step) const override;

 private:
  v1::RowKind rows_;
  std::vector<std::unique_ptr<RowOperation>> operations_;
  std::size_t parts_ =
      1;  // pieces of a row; 1 unless all operations are element-wise and equally wide
  std::size_t numbers_ = 0;  // that all operations make of a row
};

inline std::size_t RowCount(const StepContext& step, v1::RowKind rows) {
  switch (rows) {
    case v1::ROW_KIND_TOKEN:
      return step.rows.size();
    case v1::ROW_KIND_SOURCE:
      return step.sources.size();
    case v1::ROW_KIND_SEQUENCE:
      return step.spans.size();
    default:
      return step.outputs.size();
  }
}

// Where the rows belong, of tokens or of sources.
inline std::span<const Row> PlacesOf(const StepContext& step, v1::RowKind rows) {
  return rows == v1::ROW_KIND_SOURCE ? step.sources : step.rows;
}

}  // namespace bramble::worker
