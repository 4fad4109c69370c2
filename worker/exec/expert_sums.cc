#include "worker/exec/expert_sums.h"

#include <algorithm>
#include <cstring>

#include "kernels/arithmetic.h"

namespace bramble::worker {
namespace {

using program::ChosenExpert;
using program::ExpertSlot;

constexpr std::size_t kInputBytes = std::size_t{256} * 1024;
constexpr std::size_t kLeaves = kernels::kMaxSegments;
constexpr std::size_t kLevels = 3;  // of the tree over the leaves

// The sums of some columns of all rows: the group that is being summed, and the subtrees that wait
// for their right half. Row r's part of a buffer is at r * width.
class SumTree {
 public:
  // `buffers`: 4 x rows x width floats, then `rows` bytes.
  SumTree(float* buffers, std::size_t rows, std::size_t width, kernels::BinaryFn add)
      : buffers_(buffers),
        rows_(rows),
        width_(width),
        there_(reinterpret_cast<std::uint8_t*>(buffers + (1 + kLevels) * rows * width)),
        add_(add) {
    std::fill_n(there_, rows, std::uint8_t{0});
  }

  // Where the row's group is summed: +0 if nothing has been.
  float* Leaf(std::size_t row) {
    float* leaf = At(kLevels, row);
    if ((there_[row] & kLeafBit) == 0) {
      there_[row] |= kLeafBit;
      std::fill_n(leaf, width_, 0.0F);
    }
    return leaf;
  }

  // Ends the group. A subtree on whose right side nothing is stays as it is, and so does one on
  // whose left side nothing is.
  void EndGroup(std::size_t group) {
    for (std::size_t row = 0; row < rows_; ++row) {
      std::size_t carried = kLevels;  // which buffer; kNothing: none
      if ((there_[row] & kLeafBit) == 0) carried = kNothing;
      std::size_t level = 0;
      for (; level < kLevels && (group >> level & 1U) != 0; ++level) {
        if ((there_[row] >> level & 1U) == 0) continue;
        there_[row] &= static_cast<std::uint8_t>(~(1U << level));
        if (carried != kNothing) add_(At(level, row), At(carried, row), width_, At(level, row));
        carried = level;
      }
      there_[row] &= static_cast<std::uint8_t>(~kLeafBit);
      if (carried == kNothing) continue;
      // The total stays where it is; Total() knows.
      const std::size_t to = level < kLevels ? level : kLevels;
      if (to != carried) std::memcpy(At(to, row), At(carried, row), width_ * sizeof(float));
      if (level < kLevels) there_[row] |= static_cast<std::uint8_t>(1U << level);
    }
  }

  // After the last group.
  const float* Total(std::size_t row) const { return At(kLevels, row); }

 private:
  static constexpr std::size_t kNothing = kLevels + 1;
  static constexpr std::uint8_t kLeafBit = 1U << kLevels;

  float* At(std::size_t buffer, std::size_t row) const {
    return buffers_ + (buffer * rows_ + row) * width_;
  }

  float* buffers_;
  std::size_t rows_;
  std::size_t width_;
  std::uint8_t* there_;  // [row]: a bit for each buffer that holds something
  kernels::BinaryFn add_;
};

class ExpertSumsTask final : public Task {
 public:
  ExpertSumsTask(const Binder& binder, const program::Node& node)
      : scratch_(binder), plan_(binder, node), output_(binder.Output(node)) {
    const v1::Moe& moe = binder.OperationOf(node).moe();
    const program::ExpertTensors& tensors =
        binder.schedule.experts_of.at({node.block, node.operation});
    expanded_ = binder.View(tensors.expanded);
    expanded_.stride =
        program::FormRowBytes(moe.inner_form(), program::ShapeOf(binder.program, moe).inner);
    rows_at_once_ = RowsAtOnce(expanded_.stride);
    rows_ = binder.schedule.tensors[node.tensor].rows;
    experts_ = moe.experts();
    groups_ = moe.sum_groups();
    down_ = ExpertMatrices(binder, binder.weights.stacks(node.block, node.operation).down,
                           binder.Numbers(moe.has_down_bias(), moe.down_bias()));
    panels_ = (down_.outputs() + kernels::kPanelRows - 1) / kernels::kPanelRows;
    add_ = binder.Choose(kernels::AddRows());
    add_scaled_ = binder.Choose(kernels::AddScaledRows());
  }

  std::uint64_t Items(const StepContext& step) const override {
    return RowCount(step, rows_) == 0 ? 0 : panels_;
  }
  bool IsSmall(const StepContext& step) const override { return Items(step) == 0; }

  void Run(const StepContext& step, std::uint64_t first, std::uint64_t last,
           int thread) const override {
    const std::size_t rows = RowCount(step, rows_);
    const std::size_t most =
        std::max<std::size_t>(program::kExpertFloats / (rows * kernels::kPanelRows), 1);
    while (first < last) {
      const std::uint64_t end = std::min<std::uint64_t>(last, first + most);
      Sum(rows, {first * kernels::kPanelRows, std::min(end * kernels::kPanelRows, down_.outputs())},
          thread);
      first = end;
    }
  }

 private:
  void Sum(std::size_t rows, const OutputRange& outputs, int thread) const {
    const std::size_t width = outputs.end - outputs.first;
    float* products = scratch_.of(thread);
    SumTree tree(products + program::kExpertFloats, rows, width, add_);
    std::size_t group = 0;
    for (std::uint32_t i = 0; i < plan_.head().experts; ++i) {
      const ChosenExpert& expert = plan_.experts()[i];
      const std::size_t own = std::size_t{expert.expert} * groups_ / experts_;
      for (; group < own; ++group) tree.EndGroup(group);
      AddExpert(rows, expert, outputs, products, tree);
    }
    for (; group < kLeaves; ++group) tree.EndGroup(group);
    for (std::size_t row = 0; row < rows; ++row) {
      std::memcpy(output_.row(row) + outputs.first, tree.Total(row), width * sizeof(float));
    }
  }

  void AddExpert(std::size_t rows, const ChosenExpert& expert, const OutputRange& outputs,
                 float* products, SumTree& tree) const {
    const std::size_t width = outputs.end - outputs.first;
    const std::size_t most = std::min(program::kExpertFloats / width, rows_at_once_);
    const ExpertSlot* slots = plan_.slots(rows) + expert.first_slot;
    for (std::size_t done = 0; done < expert.slots; done += most) {
      const std::size_t count = std::min<std::size_t>(expert.slots - done, most);
      const RowsView input{expanded_.bytes(expert.first_slot + done), expanded_.stride, 0};
      down_.Multiply(expert.expert, input, count, outputs, products);
      for (std::size_t r = 0; r < count; ++r) {
        const ExpertSlot& slot = slots[done + r];
        add_scaled_(products + r * width, slot.weight, width, tree.Leaf(slot.row));
      }
    }
  }

  ThreadScratch scratch_;
  ExpertPlan plan_;
  RowsView output_;
  RowsView expanded_;  // by slot
  std::size_t rows_at_once_ = 0;
  v1::RowKind rows_ = v1::ROW_KIND_TOKEN;
  std::size_t experts_ = 0;
  std::size_t groups_ = 0;
  ExpertMatrices down_;
  std::size_t panels_ = 0;
  kernels::BinaryFn add_ = nullptr;
  kernels::ScalarFn add_scaled_ = nullptr;
};

}  // namespace

ExpertPlan::ExpertPlan(const Binder& binder, const program::Node& node)
    : data(binder.View(binder.schedule.experts_of.at({node.block, node.operation}).plan).data),
      slots_per_row(binder.OperationOf(node).moe().experts_per_row()) {}

ExpertMatrices::ExpertMatrices(const Binder& binder, const std::vector<const LoadedWeight*>& stack,
                               const float* bias)
    : kernel_(stack.front()->kernel), shape_(stack.front()->shape), bias_(bias) {
  panel_bytes_ = kernel_->packed_bytes(shape_) / kernels::Panels(shape_);
  for (const LoadedWeight* weight : stack) {
    for (std::size_t i = 0; i < weight->matrices; ++i) {
      packed_.push_back(weight->data + i * weight->matrix_bytes);
    }
  }
  binder.variants.insert(kernel_->name);
}

void ExpertMatrices::Multiply(std::size_t expert, const RowsView& input, std::size_t rows,
                              const OutputRange& outputs, float* products) const {
  // Whole panels of a matrix are a matrix.
  kernels::MatmulShape shape = shape_;
  shape.outputs = static_cast<std::uint32_t>(outputs.end - outputs.first);
  kernels::MatmulArgs args{};
  args.shape = &shape;
  args.packed = packed_[expert] + outputs.first / kernels::kPanelRows * panel_bytes_;
  args.input = input.data;
  args.input_stride = input.stride;
  args.rows = rows;
  args.bias = bias_ == nullptr ? nullptr : bias_ + expert * shape_.outputs + outputs.first;
  args.output = products;
  args.output_stride = shape.outputs;
  args.first_output = 0;
  args.last_output = shape.outputs;
  kernel_->run(args);
}

std::size_t RowsAtOnce(std::size_t row_bytes) {
  return std::clamp<std::size_t>(kInputBytes / row_bytes, 16, program::kExpertRows);
}

std::unique_ptr<Task> BindExpertSums(const Binder& binder, const program::Node& node) {
  return std::make_unique<ExpertSumsTask>(binder, node);
}

}  // namespace bramble::worker
