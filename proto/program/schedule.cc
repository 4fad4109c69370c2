#include "proto/program/schedule.h"

#include <algorithm>
#include <bit>
#include <map>
#include <string>
#include <tuple>
#include <utility>

#include "common/check.h"
#include "proto/program/moe.h"

namespace bramble::program {
namespace {

constexpr std::uint64_t kAlignment = 64;
// kernels::A8Group: 32 integers, the scale and the sums. The executor asserts that it is the same.
constexpr std::uint64_t kA8GroupBytes = 48;

std::uint64_t Aligned(std::uint64_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

// Adds one program's operations to a schedule, in program order, each at the lowest level that its
// inputs allow.
class Builder {
 public:
  explicit Builder(const v1::Program& program) : program_(program) {}

  Schedule Build() {
    schedule_.of_stream.assign(static_cast<std::size_t>(program_.streams_size()), kNone);
    for (int i = 0; i < program_.streams_size(); ++i) {
      const v1::Stream& stream = program_.streams(i);
      if (stream.enters()) {
        schedule_.of_stream[static_cast<std::size_t>(i)] =
            AddTensor(std::uint64_t{stream.width()} * sizeof(float), stream.rows(), stream.width());
      }
    }
    for (int b = 0; b < program_.blocks_size(); ++b) AddBlock(static_cast<std::uint32_t>(b));
    Finish();
    return std::move(schedule_);
  }

 private:
  const v1::Operation& OperationAt(std::uint32_t block, std::uint32_t operation) const {
    return program_.blocks(static_cast<int>(block)).operations(static_cast<int>(operation));
  }

  std::uint32_t AddTensor(std::uint64_t row_bytes, v1::RowKind rows, std::uint32_t width) {
    Tensor tensor;
    tensor.row_bytes = Aligned(row_bytes);
    tensor.rows = rows;
    tensor.width = width;
    schedule_.tensors.push_back(tensor);
    schedule_.quantized.push_back(kNone);
    return static_cast<std::uint32_t>(schedule_.tensors.size() - 1);
  }

  // A node that works row by row and may share the level of a producer that does too.
  struct Placement {
    bool row_wise = false;
    v1::RowKind rows = v1::ROW_KIND_UNSPECIFIED;
    std::uint32_t level = 0;
  };

  void Read(std::uint32_t tensor, Placement& placement) const {
    const Tensor& input = schedule_.tensors[tensor];
    if (input.producer == kNone) return;  // there before the first level
    const bool joins =
        placement.row_wise && row_wise_[input.producer] && placement.rows == input.rows;
    placement.level = std::max(placement.level, input.first + (joins ? 0U : 1U));
  }

  void Touch(std::uint32_t tensor, std::uint32_t level) {
    schedule_.tensors[tensor].last = std::max(schedule_.tensors[tensor].last, level);
  }

  std::uint32_t AddNode(const Node& node, bool row_wise) {
    schedule_.nodes.push_back(node);
    row_wise_.push_back(row_wise);
    schedule_.levels = std::max(schedule_.levels, node.level + 1);
    return static_cast<std::uint32_t>(schedule_.nodes.size() - 1);
  }

  void Write(std::uint32_t tensor, std::uint32_t node) {
    Tensor& output = schedule_.tensors[tensor];
    output.producer = node;
    output.first = schedule_.nodes[node].level;
    Touch(tensor, output.first);
  }

  void AddBlock(std::uint32_t b) {
    const v1::Block& block = program_.blocks(static_cast<int>(b));
    std::vector<std::uint32_t> of_value(static_cast<std::size_t>(block.values_size()), kNone);
    for (const v1::Port& port : block.inputs()) {
      of_value[port.value()] = schedule_.of_stream[port.stream()];
    }
    schedule_.of_value.push_back(std::move(of_value));
    schedule_.angles_of.emplace_back(static_cast<std::size_t>(block.operations_size()), kNone);
    for (int i = 0; i < block.operations_size(); ++i) {
      AddOperation(b, static_cast<std::uint32_t>(i));
    }
    for (const v1::Port& port : block.outputs()) {
      schedule_.of_stream[port.stream()] = schedule_.of_value[b][port.value()];
    }
  }

  void AddOperation(std::uint32_t b, std::uint32_t i) {
    const v1::Operation& op = OperationAt(b, i);
    const v1::Block& block = program_.blocks(static_cast<int>(b));
    Node node;
    node.block = b;
    node.operation = i;
    Placement placement;
    placement.row_wise = IsRowWise(op);
    std::vector<std::uint32_t> inputs;
    for (const std::uint32_t value : op.inputs()) inputs.push_back(schedule_.of_value[b][value]);
    if (op.outputs_size() > 0) {
      placement.rows = block.values(static_cast<int>(op.outputs(0))).rows();
    }
    if (op.has_linear()) PrepareLinear(op.linear(), b, i, inputs, placement);
    if (op.has_rope()) inputs.push_back(AnglesFor(b, i, placement.rows));
    if (op.has_attention()) PrepareAttention(op.attention(), b, i, inputs, placement);
    if (op.has_moe()) PrepareMoe(op.moe(), b, i, inputs);
    if (op.has_meet()) PrepareMeet(op.meet(), b, i, inputs, placement);
    for (const std::uint32_t tensor : inputs) Read(tensor, placement);
    node.level = placement.level;
    for (const std::uint32_t tensor : inputs) Touch(tensor, node.level);
    for (const std::uint32_t value : op.outputs()) {
      const v1::Value& output = block.values(static_cast<int>(value));
      const bool quantized = op.has_meet() && op.meet().form() == v1::INPUT_FORM_A8_32;
      const auto form = quantized ? v1::INPUT_FORM_A8_32 : v1::INPUT_FORM_F32;
      node.tensor = AddTensor(FormRowBytes(form, output.width()), output.rows(), output.width());
      if (quantized) schedule_.quantized[node.tensor] = node.tensor;
      schedule_.of_value[b][value] = node.tensor;
    }
    if (op.has_meet()) meeting_level_ = node.level;
    const std::uint32_t index = AddNode(node, placement.row_wise);
    if (node.tensor != kNone) Write(node.tensor, index);
  }

  // The input is quantized (or looked through) once, by a node of its own.
  void PrepareLinear(const v1::Linear& linear, std::uint32_t b, std::uint32_t i,
                     std::vector<std::uint32_t>& inputs, Placement& placement) {
    if (linear.input_form() == v1::INPUT_FORM_F32) {
      placement.level = std::max(placement.level, InspectOnce(inputs[0], b, i) + 1);
    } else {
      inputs[0] = QuantizeOnce(inputs[0], b, i);
    }
  }

  // No meeting comes before one that is earlier in the program: a member that waits for an answer
  // to the later one would not bring what the others need for the earlier.
  void PrepareMeet(const v1::Meet& meet, std::uint32_t b, std::uint32_t i,
                   std::vector<std::uint32_t>& inputs, Placement& placement) {
    if (!inputs.empty() && meet.form() == v1::INPUT_FORM_A8_32) {
      inputs[0] = QuantizeOnce(inputs[0], b, i);
    }
    placement.level = std::max(placement.level, meeting_level_);
  }

  // The quantized form of a tensor.
  std::uint32_t QuantizeOnce(std::uint32_t source, std::uint32_t b, std::uint32_t i) {
    if (schedule_.quantized[source] == kNone) {
      const Tensor input = schedule_.tensors[source];
      const std::uint32_t form =
          AddTensor(FormRowBytes(v1::INPUT_FORM_A8_32, input.width), input.rows, input.width);
      schedule_.quantized[source] = form;
      Node node = RowNode(NodeKind::kQuantize, b, i, {source});
      if (FollowsAttention(source)) node.level = input.first;
      node.source = source;
      node.tensor = form;
      Write(form, AddNode(node, true));
      Touch(source, node.level);
    }
    return schedule_.quantized[source];
  }

  // The nodes before a mixture's last one, which will read `inputs`.
  void PrepareMoe(const v1::Moe& moe, std::uint32_t b, std::uint32_t i,
                  std::vector<std::uint32_t>& inputs) {
    const std::uint32_t x = inputs[0];
    const MoeShape shape = ShapeOf(program_, moe);
    ExpertTensors experts;
    std::uint32_t known_level = 0;  // from here on x is known to be finite
    if (moe.input_form() == v1::INPUT_FORM_F32) {
      experts.input = x;
      known_level = InspectOnce(x, b, i) + 1;
    } else {
      experts.input = QuantizeOnce(x, b, i);
    }
    Node node;
    node.block = b;
    node.operation = i;
    node.kind = NodeKind::kRoute;
    node.source = inputs[1];
    experts.choices = AddWaiting(node, {inputs[1]}, ChoicesRowBytes(moe));
    node.kind = NodeKind::kSort;
    experts.plan = AddWaiting(node, {experts.choices}, ExpertPlanRowBytes(moe));
    node.level = known_level;
    node.source = x;
    const std::uint64_t slots = moe.experts_per_row();
    node.kind = NodeKind::kCollect;
    experts.collected = AddWaiting(node, {experts.plan, experts.input},
                                   slots * FormRowBytes(moe.input_form(), shape.width));
    node.kind = NodeKind::kExpand;
    experts.expanded = AddWaiting(node, {experts.plan, experts.input, experts.collected},
                                  slots * FormRowBytes(moe.inner_form(), shape.inner));
    schedule_.experts_of[{b, i}] = experts;
    inputs = {experts.plan, experts.expanded};
  }

  // Adds a node that waits for all of `sources` and for its level, and what it writes.
  std::uint32_t AddWaiting(Node node, const std::vector<std::uint32_t>& sources,
                           std::uint64_t row_bytes) {
    Placement placement;
    placement.level = node.level;
    for (const std::uint32_t source : sources) Read(source, placement);
    node.level = placement.level;
    for (const std::uint32_t source : sources) Touch(source, node.level);
    node.tensor = AddTensor(row_bytes, schedule_.tensors[node.source].rows, 0);
    Write(node.tensor, AddNode(node, false));
    return node.tensor;
  }

  // True if an attention writes the tensor, and each of its key-value heads writes whole groups
  // of 32.
  bool FollowsAttention(std::uint32_t tensor) const {
    if (schedule_.tensors[tensor].producer == kNone) return false;
    const Node& node = schedule_.nodes[schedule_.tensors[tensor].producer];
    const v1::Operation& op = OperationAt(node.block, node.operation);
    if (node.kind != NodeKind::kOperation || !op.has_attention()) return false;
    const v1::KeyValueCache& kv =
        program_.caches(static_cast<int>(op.attention().cache())).key_value();
    return std::uint64_t{op.attention().heads()} / kv.kv_heads() * kv.value_dim() % 32 == 0;
  }

  // The level at which the tensor is known to be finite.
  std::uint32_t InspectOnce(std::uint32_t source, std::uint32_t b, std::uint32_t i) {
    const auto found = inspected_.find(source);
    if (found != inspected_.end()) return found->second;
    Node node = RowNode(NodeKind::kInspect, b, i, {source});
    node.source = source;
    AddNode(node, true);
    inspected_[source] = node.level;
    return node.level;
  }

  // A node that treats each row of `sources` (all of one row kind) by itself. Not added yet.
  Node RowNode(NodeKind kind, std::uint32_t b, std::uint32_t i,
               const std::vector<std::uint32_t>& sources) {
    Placement placement;
    placement.row_wise = true;
    placement.rows = schedule_.tensors[sources.front()].rows;
    for (const std::uint32_t source : sources) Read(source, placement);
    Node node;
    node.kind = kind;
    node.level = placement.level;
    node.block = b;
    node.operation = i;
    for (const std::uint32_t source : sources) Touch(source, node.level);
    return node;
  }

  // Ropes with the same frequencies and magnitude turn by the same angles: one table for all.
  std::uint32_t AnglesFor(std::uint32_t b, std::uint32_t i, v1::RowKind rows) {
    const v1::Rope& rope = OperationAt(b, i).rope();
    const auto hash = [this](std::uint32_t weight) {
      return program_.weights(static_cast<int>(weight)).sha256();
    };
    const AnglesKey key{hash(rope.frequencies()),
                        rope.has_long_frequencies() ? hash(rope.long_frequencies()) : "",
                        rope.long_from(),
                        rope.dims(),
                        std::bit_cast<std::uint32_t>(rope.magnitude()),
                        rows};
    auto found = angles_.find(key);
    if (found == angles_.end()) {
      const std::uint32_t tensor =
          AddTensor(std::uint64_t{rope.dims()} * sizeof(float), rows, rope.dims() / 2);
      Node node;
      node.kind = NodeKind::kAngles;
      node.block = b;
      node.operation = i;
      node.tensor = tensor;
      Write(tensor, AddNode(node, true));
      found = angles_.emplace(key, tensor).first;
    }
    schedule_.angles_of[b][i] = found->second;
    return found->second;
  }

  // Keys and values are appended by a node of their own; every later reader of the cache waits for
  // it.
  void PrepareAttention(const v1::Attention& attention, std::uint32_t b, std::uint32_t i,
                        std::vector<std::uint32_t>& inputs, Placement& placement) {
    if (attention.appends()) {
      const Node node = RowNode(NodeKind::kAppend, b, i, {inputs[1], inputs[2]});
      AddNode(node, true);
      filled_[attention.cache()] = node.level;
      inputs.resize(1);
    }
    placement.level = std::max(placement.level, filled_.at(attention.cache()) + 1);
  }

  void Finish() {
    CHECK(schedule_.levels > 0);
    for (int i = 0; i < program_.streams_size(); ++i) {
      if (!program_.streams(i).leaves()) continue;
      Touch(schedule_.of_stream[static_cast<std::size_t>(i)], schedule_.levels - 1);
    }
    SortByLevel();
  }

  // Stable, so that row-wise nodes of one level stay in the order in which they need each other.
  void SortByLevel() {
    std::vector<std::uint32_t> order(schedule_.nodes.size());
    for (std::uint32_t i = 0; i < order.size(); ++i) order[i] = i;
    std::stable_sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
      return schedule_.nodes[a].level < schedule_.nodes[b].level;
    });
    std::vector<Node> nodes;
    std::vector<std::uint32_t> place(order.size());
    for (const std::uint32_t i : order) {
      place[i] = static_cast<std::uint32_t>(nodes.size());
      nodes.push_back(schedule_.nodes[i]);
    }
    schedule_.nodes = std::move(nodes);
    for (Tensor& tensor : schedule_.tensors) {
      if (tensor.producer != kNone) tensor.producer = place[tensor.producer];
    }
  }

  // Frequencies, long ones, where these begin, dims, magnitude, rows.
  using AnglesKey = std::tuple<std::string, std::string, std::uint32_t, std::uint32_t,
                               std::uint32_t, v1::RowKind>;

  const v1::Program& program_;
  Schedule schedule_;
  std::vector<bool> row_wise_;                        // [node]
  std::map<std::uint32_t, std::uint32_t> inspected_;  // tensor -> level
  std::map<std::uint32_t, std::uint32_t> filled_;     // cache -> level
  std::map<AnglesKey, std::uint32_t> angles_;
  std::uint32_t meeting_level_ = 0;  // of the last meeting
};

}  // namespace

bool IsRowWise(const v1::Operation& operation) {
  switch (operation.kind_case()) {
    case v1::Operation::kEmbed:
    case v1::Operation::kNorm:
    case v1::Operation::kRope:
    case v1::Operation::kActivation:
    case v1::Operation::kGate:
    case v1::Operation::kArithmetic:
      return true;
    case v1::Operation::kGather:
      // An output row that is another row of the input: it may be another thread's.
      return operation.gather().kind() != v1::Gather::KIND_OUTPUTS &&
             operation.gather().kind() != v1::Gather::KIND_FIRST &&
             operation.gather().kind() != v1::Gather::KIND_LAST;
    default:
      return false;
  }
}

std::uint64_t FormRowBytes(v1::InputForm form, std::uint64_t width) {
  return Aligned(form == v1::INPUT_FORM_A8_32 ? width / 32 * kA8GroupBytes : width * sizeof(float));
}

Schedule MakeSchedule(const v1::Program& program) { return Builder(program).Build(); }

}  // namespace bramble::program
