#include "worker/exec/expert_tasks.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "common/check.h"
#include "kernels/a8.h"
#include "kernels/activation.h"
#include "kernels/convert.h"
#include "kernels/route.h"
#include "proto/program/moe.h"
#include "worker/exec/expert_sums.h"

namespace bramble::worker {
namespace {

using program::ChosenExpert;
using program::ExpertSlot;
using program::Node;
using program::NodeKind;

// The count of memory (proto/program) has its own copies of these: it may not see the kernels.
static_assert(sizeof(kernels::Choice) == sizeof(ExpertSlot));
static_assert(kernels::RouteScratchFloats(5) == 15);

// Logits that one thread reads in about a microsecond.
constexpr std::size_t kFewLogits = 1024;

// Outputs that are expanded together: whole groups of 8-bit activations.
constexpr std::size_t kChunk = 32;
static_assert(kChunk % kernels::kPanelRows == 0 && kChunk % kernels::kA8Values == 0);

class RouteTask final : public Task {
 public:
  RouteTask(const Binder& binder, std::uint32_t index) : index_(index), scratch_(binder) {
    const Node& node = binder.schedule.nodes[index];
    const v1::Moe& moe = binder.OperationOf(node).moe();
    logits_ = binder.View(node.source);
    choices_ = binder.View(node.tensor);
    rows_ = binder.schedule.tensors[node.source].rows;
    run_ = binder.Choose(kernels::RouteRows());
    rule_.score = static_cast<kernels::RouterScore>(moe.score());
    rule_.experts = moe.experts();
    rule_.chosen = moe.experts_per_row();
    rule_.bias = binder.Numbers(moe.has_selection_bias(), moe.selection_bias());
    rule_.groups = moe.groups();
    rule_.groups_per_row = moe.groups_per_row();
    rule_.group_score = static_cast<kernels::GroupScore>(moe.group_score());
    rule_.threshold = moe.threshold();
    rule_.renormalize = moe.renormalize();
    rule_.scale = moe.scale();
    rule_.expert_scale = binder.Numbers(moe.has_expert_scale(), moe.expert_scale());
  }

  std::uint64_t Items(const StepContext& step) const override { return RowCount(step, rows_); }
  bool IsSmall(const StepContext& step) const override {
    return RowCount(step, rows_) * rule_.experts <= kFewLogits;
  }

  void Run(const StepContext& step, std::uint64_t first, std::uint64_t last,
           int thread) const override {
    for (std::uint64_t row = first; row < last; ++row) {
      if (!kernels::AllFinite(logits_.row(row), rule_.experts)) {
        step.fault->Report(index_, static_cast<std::uint32_t>(row));
        continue;
      }
      run_(rule_, logits_.row(row), scratch_.of(thread),
           reinterpret_cast<kernels::Choice*>(choices_.bytes(row)));
    }
  }

 private:
  std::uint32_t index_;
  ThreadScratch scratch_;
  RowsView logits_;
  RowsView choices_;
  v1::RowKind rows_;
  kernels::RouteFn run_;
  kernels::RouteRule rule_{};
};

// By rising expert, within an expert by rising row. So few numbers that one thread does it.
class SortTask final : public Task {
 public:
  SortTask(const Binder& binder, const Node& node, std::size_t rows_at_once)
      : scratch_(binder), rows_at_once_(rows_at_once) {
    const v1::Moe& moe = binder.OperationOf(node).moe();
    choices_ = binder.View(binder.schedule.experts_of.at({node.block, node.operation}).choices);
    plan_ = ExpertPlan(binder, node);
    rows_ = binder.schedule.tensors[node.tensor].rows;
    experts_ = moe.experts();
    const std::uint64_t inner = program::ShapeOf(binder.program, moe).inner;
    chunks_ = static_cast<std::uint32_t>((inner + kChunk - 1) / kChunk);
  }

  std::uint64_t Items(const StepContext& step) const override {
    return std::min<std::uint64_t>(RowCount(step, rows_), 1);
  }
  bool IsSmall(const StepContext&) const override { return true; }

  void Run(const StepContext& step, std::uint64_t, std::uint64_t, int thread) const override {
    const std::size_t rows = RowCount(step, rows_);
    auto* counts = reinterpret_cast<std::uint32_t*>(scratch_.of(thread));
    std::fill_n(counts, experts_, 0U);
    EachChoice(rows, [&](std::size_t, const kernels::Choice& choice) { ++counts[choice.expert]; });
    program::ExpertPlanHead head{};
    std::uint32_t slot = 0;
    for (std::uint32_t e = 0; e < experts_; ++e) {
      const std::uint32_t count = counts[e];
      if (count == 0) continue;
      plan_.experts()[head.experts++] = {e, slot, count, head.items};
      head.items +=
          static_cast<std::uint32_t>((count + rows_at_once_ - 1) / rows_at_once_) * chunks_;
      if (count > ExpertPlan::kEvenRows) head.gathered_slots += count;
      counts[e] = slot;  // from now on: the next one's place
      slot += count;
    }
    EachChoice(rows, [&](std::size_t row, const kernels::Choice& choice) {
      plan_.slots(rows)[counts[choice.expert]++] = {static_cast<std::uint32_t>(row), choice.weight};
    });
    plan_.head() = head;
  }

 private:
  template <typename F>
  void EachChoice(std::size_t rows, const F& f) const {
    for (std::size_t row = 0; row < rows; ++row) {
      const auto* choices = reinterpret_cast<const kernels::Choice*>(choices_.bytes(row));
      for (std::size_t j = 0; j < plan_.slots_per_row; ++j) f(row, choices[j]);
    }
  }

  ThreadScratch scratch_;
  std::size_t rows_at_once_;
  RowsView choices_;
  ExpertPlan plan_;
  v1::RowKind rows_;
  std::uint32_t experts_;
  std::uint32_t chunks_;
};

// Where an expert's rows lie: evenly spaced among the rows of the step if there are one or two,
// else side by side.
struct ExpertRows {
  ExpertRows(const Binder& binder, const Node& node) {
    const v1::Moe& moe = binder.OperationOf(node).moe();
    const program::ExpertTensors& tensors =
        binder.schedule.experts_of.at({node.block, node.operation});
    rows = binder.View(tensors.input);
    collected = binder.View(tensors.collected);
    collected.stride =
        program::FormRowBytes(moe.input_form(), program::ShapeOf(binder.program, moe).width);
  }

  // `expert`'s rows from the `skip`-th of its slots on.
  RowsView Of(const ChosenExpert& expert, const ExpertSlot* slots, std::size_t skip) const {
    if (expert.slots > ExpertPlan::kEvenRows) {
      return {collected.bytes(expert.first_slot + skip), collected.stride, 0};
    }
    const ExpertSlot* own = slots + expert.first_slot;
    const std::size_t step = expert.slots == 2 ? own[1].row - own[0].row : 1;
    return {rows.bytes(own[skip].row), step * rows.stride, 0};
  }

  RowsView rows;
  RowsView collected;  // by slot
};

class CollectTask final : public Task {
 public:
  CollectTask(const Binder& binder, const Node& node)
      : plan_(binder, node),
        expert_rows_(binder, node),
        rows_(binder.schedule.tensors[node.tensor].rows) {}

  std::uint64_t Items(const StepContext& step) const override {
    const std::size_t rows = RowCount(step, rows_);
    return rows == 0 || plan_.head().gathered_slots == 0 ? 0 : rows * plan_.slots_per_row;
  }
  bool IsSmall(const StepContext& step) const override { return Items(step) == 0; }

  void Run(const StepContext& step, std::uint64_t first, std::uint64_t last, int) const override {
    const ExpertSlot* slots = plan_.slots(RowCount(step, rows_));
    for (std::uint32_t i = 0; i < plan_.head().experts; ++i) {
      const ChosenExpert& expert = plan_.experts()[i];
      if (expert.slots <= ExpertPlan::kEvenRows) continue;
      const std::uint64_t end = std::min<std::uint64_t>(last, expert.first_slot + expert.slots);
      for (std::uint64_t s = std::max<std::uint64_t>(first, expert.first_slot); s < end; ++s) {
        std::memcpy(expert_rows_.collected.bytes(s), expert_rows_.rows.bytes(slots[s].row),
                    expert_rows_.collected.stride);
      }
    }
  }

 private:
  ExpertPlan plan_;
  ExpertRows expert_rows_;
  v1::RowKind rows_;
};

// Items are chunks of outputs of (some rows of) a chosen expert: gate and up are multiplied and
// joined while they are in the first cache.
class ExpandTask final : public Task {
 public:
  ExpandTask(const Binder& binder, std::uint32_t index, std::size_t rows_at_once)
      : index_(index),
        rows_at_once_(rows_at_once),
        scratch_(binder),
        plan_(binder, binder.schedule.nodes[index]),
        expert_rows_(binder, binder.schedule.nodes[index]) {
    const Node& node = binder.schedule.nodes[index];
    const v1::Moe& moe = binder.OperationOf(node).moe();
    const LoadedStacks stacks = binder.weights.stacks(node.block, node.operation);
    const program::MoeShape shape = program::ShapeOf(binder.program, moe);
    up_ = ExpertMatrices(binder, stacks.up, binder.Numbers(moe.has_up_bias(), moe.up_bias()));
    gated_ = moe.gate_size() > 0;
    const auto function = static_cast<kernels::Function>(moe.function());
    if (gated_) {
      gate_ =
          ExpertMatrices(binder, stacks.gate, binder.Numbers(moe.has_gate_bias(), moe.gate_bias()));
      gate_fn_ = binder.Choose(kernels::GateRows(function));
    } else {
      activation_fn_ = binder.Choose(kernels::ActivationRows(function));
    }
    limit_ = moe.limit();
    offset_ = moe.offset();
    inner_ = shape.inner;
    chunks_ = (inner_ + kChunk - 1) / kChunk;
    rows_ = binder.schedule.tensors[node.tensor].rows;
    expanded_ = binder.View(node.tensor);
    expanded_.stride = program::FormRowBytes(moe.inner_form(), inner_);
    if (moe.inner_form() == v1::INPUT_FORM_A8_32) {
      quantize_ = binder.Choose(kernels::QuantizeA8Rows());
    }
  }

  std::uint64_t Items(const StepContext& step) const override {
    return RowCount(step, rows_) == 0 ? 0 : plan_.head().items;
  }
  bool IsSmall(const StepContext& step) const override { return Items(step) == 0; }

  void Run(const StepContext& step, std::uint64_t first, std::uint64_t last,
           int thread) const override {
    const ChosenExpert* experts = plan_.experts();
    const ChosenExpert* end = experts + plan_.head().experts;
    const ChosenExpert* expert = std::upper_bound(experts, end, first,
                                                  [](std::uint64_t item, const ChosenExpert& e) {
                                                    return item < e.first_item;
                                                  }) -
                                 1;
    while (first < last) {
      if (expert + 1 < end && first >= (expert + 1)->first_item) ++expert;
      const std::size_t piece = (first - expert->first_item) / chunks_;
      const std::size_t begin = (first - expert->first_item) % chunks_;
      const std::size_t skip = piece * rows_at_once_;
      const std::size_t rows = std::min<std::size_t>(expert->slots - skip, rows_at_once_);
      const std::size_t most = program::kExpertFloats / (rows * kChunk);
      const std::size_t count = std::min<std::uint64_t>({most, chunks_ - begin, last - first});
      Expand(step, *expert, {skip, rows},
             {begin * kChunk, std::min((begin + count) * kChunk, inner_)}, thread);
      first += count;
    }
  }

 private:
  struct Piece {
    std::size_t skip;  // slots of the expert
    std::size_t rows;
  };

  void Expand(const StepContext& step, const ChosenExpert& expert, const Piece& piece,
              const OutputRange& outputs, int thread) const {
    const ExpertSlot* slots = plan_.slots(RowCount(step, rows_));
    const RowsView input = expert_rows_.Of(expert, slots, piece.skip);
    const std::size_t width = outputs.end - outputs.first;
    float* up = scratch_.of(thread);
    float* gate = up + program::kExpertFloats;
    up_.Multiply(expert.expert, input, piece.rows, outputs, up);
    if (gated_) {
      gate_.Multiply(expert.expert, input, piece.rows, outputs, gate);
      gate_fn_(gate, up, limit_, offset_, piece.rows * width, up);
    } else {
      activation_fn_(up, piece.rows * width, up);
    }
    for (std::size_t r = 0; r < piece.rows; ++r) {
      const std::size_t slot = expert.first_slot + piece.skip + r;
      if (!Keep(up + r * width, outputs.first, width, slot)) {
        step.fault->Report(index_, slots[slot].row);
      }
    }
  }

  // False if a value is not finite.
  bool Keep(const float* values, std::size_t first, std::size_t width, std::size_t slot) const {
    if (quantize_ != nullptr) {
      return quantize_(values, width, expanded_.bytes(slot) + kernels::A8RowBytes(first));
    }
    std::memcpy(expanded_.row(slot) + first, values, width * sizeof(float));
    return kernels::AllFinite(values, width);
  }

  std::uint32_t index_;
  std::size_t rows_at_once_;
  ThreadScratch scratch_;
  ExpertPlan plan_;
  ExpertRows expert_rows_;
  ExpertMatrices up_;
  ExpertMatrices gate_;
  bool gated_ = false;
  kernels::GateFn gate_fn_ = nullptr;
  kernels::ActivationFn activation_fn_ = nullptr;
  float limit_ = 0;
  float offset_ = 0;
  std::size_t inner_ = 0;
  std::size_t chunks_ = 0;
  v1::RowKind rows_ = v1::ROW_KIND_TOKEN;
  RowsView expanded_;  // by slot
  kernels::QuantizeA8Fn quantize_ = nullptr;
};

}  // namespace

std::unique_ptr<Task> BindExperts(const Binder& binder, std::uint32_t index) {
  const Node& node = binder.schedule.nodes[index];
  const v1::Moe& moe = binder.OperationOf(node).moe();
  const std::size_t rows_at_once = RowsAtOnce(
      program::FormRowBytes(moe.input_form(), program::ShapeOf(binder.program, moe).width));
  switch (node.kind) {
    case NodeKind::kRoute:
      return std::make_unique<RouteTask>(binder, index);
    case NodeKind::kSort:
      return std::make_unique<SortTask>(binder, node, rows_at_once);
    case NodeKind::kCollect:
      return std::make_unique<CollectTask>(binder, node);
    case NodeKind::kExpand:
      return std::make_unique<ExpandTask>(binder, index, rows_at_once);
    default:
      CHECK(node.kind == NodeKind::kOperation);
      return BindExpertSums(binder, node);
  }
}

}  // namespace bramble::worker
