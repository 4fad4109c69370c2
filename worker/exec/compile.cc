#include "worker/exec/compile.h"

#include <utility>

#include "common/check.h"
#include "worker/exec/expert_tasks.h"
#include "worker/exec/matrix_tasks.h"
#include "worker/exec/row_operations.h"
#include "worker/exec/sampler.h"

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
    AddRows(v1::ROW_KIND_TOKEN, std::move(token_rows_));
    AddRows(v1::ROW_KIND_OUTPUT, std::move(output_rows_));
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
    }
    if (IsOfExperts(node)) return AddTask(BindExperts(binder_, index));
    const bool tokens = RowsOf(node) == v1::ROW_KIND_TOKEN;
    (tokens ? token_rows_ : output_rows_).push_back(BindRowOperation(binder_, index));
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
    if (node.kind == NodeKind::kAppend) return v1::ROW_KIND_TOKEN;
    const std::uint32_t tensor = node.tensor != program::kNone ? node.tensor : node.source;
    return binder_.schedule.tensors[tensor].rows;
  }

  void AddRows(v1::RowKind rows, std::vector<std::unique_ptr<RowOperation>> operations) {
    if (operations.empty()) return;
    AddTask(std::make_unique<RowsTask>(rows, std::move(operations)));
  }

  const Binder& binder_;
  std::uint32_t first_;
  std::uint32_t last_;
  Level level_;
  std::vector<std::unique_ptr<RowOperation>> token_rows_;
  std::vector<std::unique_ptr<RowOperation>> output_rows_;
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
