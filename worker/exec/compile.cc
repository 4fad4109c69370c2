#include "worker/exec/compile.h"

#include <map>
#include <utility>

#include "worker/exec/expert_tasks.h"
#include "worker/exec/matrix_tasks.h"
#include "worker/exec/meet_task.h"
#include "worker/exec/row_operations.h"
#include "worker/exec/sampler.h"
#include "worker/exec/sequence_tasks.h"

namespace bramble::worker {
namespace {

using program::Node;
using program::NodeKind;

// Nodes [first, last) of the schedule, which share a level.
class LevelCompiler {
 public:
  LevelCompiler(const Binder& binder, std::uint32_t first, std::uint32_t last)
      : binder_(binder), first_(first), last_(last) {}

  Level Compile() {
    for (std::uint32_t index = first_; index < last_; ++index) Add(index);
    for (auto& [rows, operations] : row_operations_) {
      AddTask(std::make_unique<RowsTask>(rows, std::move(operations)));
    }
    // Last: what else the level has is done before anybody waits.
    if (!meetings_.empty()) AddTask(BindMeetings(binder_, meetings_));
    return std::move(level_);
  }

 private:
  void Add(std::uint32_t index) {
    const Node& node = binder_.schedule.nodes[index];
    if (node.kind == NodeKind::kQuantize && BelongsToAttention(node)) return;
    if (node.kind == NodeKind::kOperation) {
      const v1::Operation& op = binder_.OperationOf(node);
      if (op.has_linear()) return AddTask(BindLinear(binder_, node));
      if (op.has_attention()) return AddTask(BindAttention(binder_, node, QuantizerOf(node)));
      if (op.has_sample()) return AddTask(BindSample(binder_, index));
      if (op.has_pool()) return AddTask(BindPool(binder_, node));
      if (op.has_convolution()) return AddTask(BindConvolution(binder_, node));
      if (op.has_recurrence()) return AddTask(BindRecurrence(binder_, node));
      if (op.has_meet()) return meetings_.push_back(node);
    }
    if (IsOfExperts(node)) return AddTask(BindExperts(binder_, index));
    row_operations_[RowsOf(node)].push_back(BindRowOperation(binder_, index));
  }

  bool IsOfExperts(const Node& node) const {
    switch (node.kind) {
      case NodeKind::kRoute:
      case NodeKind::kSort:
      case NodeKind::kCollect:
      case NodeKind::kExpand:
        return true;
      default:
        return node.kind == NodeKind::kOperation && binder_.OperationOf(node).has_moe();
    }
  }

  void AddTask(std::unique_ptr<Task> task) { level_.tasks.push_back(std::move(task)); }

  // On the level of the attention that writes its source.
  bool BelongsToAttention(const Node& node) const {
    const std::uint32_t producer = binder_.schedule.tensors[node.source].producer;
    if (producer == program::kNone) return false;
    const Node& other = binder_.schedule.nodes[producer];
    return other.kind == NodeKind::kOperation && other.level == node.level &&
           binder_.OperationOf(other).has_attention();
  }

  std::uint32_t QuantizerOf(const Node& attention) const {
    for (std::uint32_t index = first_; index < last_; ++index) {
      const Node& node = binder_.schedule.nodes[index];
      if (node.kind == NodeKind::kQuantize && node.source == attention.tensor) return index;
    }
    return program::kNone;
  }

  v1::RowKind RowsOf(const Node& node) const {
    if (node.kind == NodeKind::kAppend) return binder_.InputRows(node, 1);
    const std::uint32_t tensor = node.tensor != program::kNone ? node.tensor : node.source;
    return binder_.schedule.tensors[tensor].rows;
  }

  const Binder& binder_;
  std::uint32_t first_;
  std::uint32_t last_;
  Level level_;
  std::map<v1::RowKind, std::vector<std::unique_ptr<RowOperation>>> row_operations_;
  std::vector<Node> meetings_;
};

}  // namespace

std::vector<Level> Compile(const Binder& binder) {
  std::vector<Level> levels;
  const std::vector<Node>& nodes = binder.schedule.nodes;
  std::uint32_t first = 0;
  while (first < nodes.size()) {
    std::uint32_t last = first;
    while (last < nodes.size() && nodes[last].level == nodes[first].level) ++last;
    levels.push_back(LevelCompiler(binder, first, last).Compile());
    first = last;
  }
  return levels;
}

}  // namespace bramble::worker
