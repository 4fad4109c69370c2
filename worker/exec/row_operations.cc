#include "worker/exec/row_operations.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "common/check.h"
#include "kernels/a8.h"
#include "kernels/activation.h"
#include "kernels/arithmetic.h"
#include "kernels/convert.h"
#include "kernels/norm.h"
#include "kernels/rope.h"
#include "worker/exec/append.h"

namespace bramble::worker {
namespace {

using program::Node;
using program::NodeKind;

class EmbedOperation final : public RowOperation {
 public:
  EmbedOperation(const Binder& binder, const Node& node)
      : table_(binder.weights.matrix(node.block, node.operation)),
        y_(binder.Output(node)),
        rows_(binder.OutputRows(node)) {
    const v1::Embed& embed = binder.OperationOf(node).embed();
    source_ = embed.source();
    offset_ = embed.position_offset();
  }

  void Run(const StepContext& step, std::uint32_t row, std::size_t, std::size_t) const override {
    table_.DecodeRow(EntryOf(PlacesOf(step, rows_)[row]), y_.row(row));
  }
  std::size_t width() const override { return y_.width; }

 private:
  std::size_t EntryOf(const Row& row) const {
    switch (source_) {
      case v1::Embed::SOURCE_POSITION:
        return std::size_t{row.position} + offset_;
      case v1::Embed::SOURCE_TYPE:
        return row.type;
      default:
        return row.id;
    }
  }

  const LoadedWeight& table_;
  RowsView y_;
  v1::RowKind rows_;
  v1::Embed::Source source_;
  std::uint32_t offset_;
};

class NormOperation final : public RowOperation {
 public:
  NormOperation(const Binder& binder, const Node& node)
      : x_(binder.Input(node, 0)), y_(binder.Output(node)) {
    const v1::Norm& norm = binder.OperationOf(node).norm();
    run_ = binder.Choose(norm.kind() == v1::Norm::KIND_RMS     ? kernels::RmsNormRows()
                         : norm.kind() == v1::Norm::KIND_LAYER ? kernels::LayerNormRows()
                                                               : kernels::L2NormRows());
    epsilon_ = norm.epsilon();
    groups_ = norm.groups();
    width_ = y_.width / groups_;
    gain_ = Shared{binder.Numbers(norm.has_gain(), norm.gain()),
                   StepOf(binder, norm.has_gain(), norm.gain())};
    bias_ = Shared{binder.Numbers(norm.has_bias(), norm.bias()),
                   StepOf(binder, norm.has_bias(), norm.bias())};
  }

  void Run(const StepContext&, std::uint32_t row, std::size_t, std::size_t) const override {
    for (std::size_t g = 0; g < groups_; ++g) {
      run_(x_.row(row) + g * width_, gain_.of(g), bias_.of(g), epsilon_, width_,
           y_.row(row) + g * width_);
    }
  }
  std::size_t width() const override { return y_.width; }

 private:
  // Numbers that the groups share (step 0), or that each has of its own.
  struct Shared {
    const float* numbers = nullptr;
    std::size_t step = 0;
    const float* of(std::size_t group) const {
      return numbers == nullptr ? nullptr : numbers + group * step;
    }
  };
  std::size_t StepOf(const Binder& binder, bool has, std::uint32_t weight) const {
    return has && binder.program.weights(static_cast<int>(weight)).shape(0) == y_.width ? width_
                                                                                        : 0;
  }

  RowsView x_;
  RowsView y_;
  kernels::NormFn run_;
  float epsilon_;
  std::size_t groups_;
  std::size_t width_;  // of a group
  Shared gain_;
  Shared bias_;
};

class AnglesOperation final : public RowOperation {
 public:
  AnglesOperation(const Binder& binder, const Node& node)
      : y_(binder.Output(node)), rows_(binder.OutputRows(node)) {
    const v1::Rope& rope = binder.OperationOf(node).rope();
    frequencies_ = binder.weights.vector(rope.frequencies()).numbers();
    long_frequencies_ = binder.Numbers(rope.has_long_frequencies(), rope.long_frequencies());
    if (rope.has_long_frequencies()) {
      const v1::Weight& table = binder.program.weights(static_cast<int>(rope.long_frequencies()));
      long_lengths_ = table.shape_size() == 2 ? table.shape(0) : 1;
    }
    long_from_ = rope.long_from();
    magnitude_ = rope.magnitude();
  }

  void Run(const StepContext& step, std::uint32_t row, std::size_t, std::size_t) const override {
    // A row of the table is all cosines, then all sines; its width counts pairs.
    const Row& r = PlacesOf(step, rows_)[row];
    kernels::RopeAngles(r.position, FrequenciesOf(r), y_.width, magnitude_, y_.row(row),
                        y_.row(row) + y_.width);
  }
  std::size_t width() const override { return 2 * y_.width; }

 private:
  const float* FrequenciesOf(const Row& row) const {
    if (long_frequencies_ == nullptr || row.length <= long_from_) return frequencies_;
    const std::uint64_t beyond = std::uint64_t{row.length} - long_from_ - 1;
    return long_frequencies_ + std::min(beyond, long_lengths_ - 1) * y_.width;
  }

  RowsView y_;
  v1::RowKind rows_;
  const float* frequencies_;
  const float* long_frequencies_;   // nullptr: none
  std::uint64_t long_lengths_ = 1;  // a row for each length; the last for all that are longer
  std::uint32_t long_from_;
  float magnitude_;
};

class RopeOperation final : public RowOperation {
 public:
  RopeOperation(const Binder& binder, const Node& node)
      : x_(binder.Input(node, 0)),
        angles_(binder.View(binder.schedule.angles_of[node.block][node.operation])),
        y_(binder.Output(node)) {
    const v1::Rope& rope = binder.OperationOf(node).rope();
    run_ = binder.Choose(rope.style() == v1::Rope::STYLE_HALF ? kernels::RopeHalfRows()
                                                              : kernels::RopePairRows());
    heads_ = rope.heads();
    head_dim_ = rope.head_dim();
    first_ = rope.first();
  }

  void Run(const StepContext&, std::uint32_t row, std::size_t, std::size_t) const override {
    const float* cosines = angles_.row(row);
    const float* x = x_.row(row);
    float* y = y_.row(row);
    if (first_ == 0) return Turn(cosines, x, heads_, head_dim_, y);
    // What passes in front of a head's turned numbers passes behind those of the head before.
    std::memcpy(y, x, first_ * sizeof(float));
    Turn(cosines, x + first_, heads_ - 1, head_dim_, y + first_);
    const std::size_t last = (heads_ - 1) * head_dim_ + first_;
    Turn(cosines, x + last, 1, head_dim_ - first_, y + last);
  }
  std::size_t width() const override { return y_.width; }

 private:
  void Turn(const float* cosines, const float* x, std::size_t heads, std::size_t head_dim,
            float* y) const {
    run_(x, cosines, cosines + angles_.width, angles_.width, heads, head_dim, y);
  }

  RowsView x_;
  RowsView angles_;
  RowsView y_;
  kernels::RopeFn run_;
  std::size_t heads_;
  std::size_t head_dim_;
  std::size_t first_;  // of a head's numbers that is turned
};

class ActivationOperation final : public RowOperation {
 public:
  ActivationOperation(const Binder& binder, const Node& node)
      : x_(binder.Input(node, 0)), y_(binder.Output(node)) {
    const auto function =
        static_cast<kernels::Function>(binder.OperationOf(node).activation().function());
    run_ = binder.Choose(kernels::ActivationRows(function));
  }

  void Run(const StepContext&, std::uint32_t row, std::size_t begin,
           std::size_t end) const override {
    run_(x_.row(row) + begin, end - begin, y_.row(row) + begin);
  }
  std::size_t width() const override { return y_.width; }
  bool IsElementWise() const override { return true; }

 private:
  RowsView x_;
  RowsView y_;
  kernels::ActivationFn run_;
};

class GateOperation final : public RowOperation {
 public:
  GateOperation(const Binder& binder, const Node& node)
      : a_(binder.Input(node, 0)), b_(binder.Input(node, 1)), y_(binder.Output(node)) {
    const v1::Gate& gate = binder.OperationOf(node).gate();
    run_ = binder.Choose(kernels::GateRows(static_cast<kernels::Function>(gate.function())));
    limit_ = gate.limit();
    offset_ = gate.offset();
  }

  void Run(const StepContext&, std::uint32_t row, std::size_t begin,
           std::size_t end) const override {
    run_(a_.row(row) + begin, b_.row(row) + begin, limit_, offset_, end - begin,
         y_.row(row) + begin);
  }
  std::size_t width() const override { return y_.width; }
  bool IsElementWise() const override { return true; }

 private:
  RowsView a_;
  RowsView b_;
  RowsView y_;
  kernels::GateFn run_;
  float limit_;
  float offset_;
};

class BinaryOperation final : public RowOperation {
 public:
  BinaryOperation(const Binder& binder, const Node& node, kernels::Rows<kernels::BinaryFn> rows)
      : a_(binder.Input(node, 0)),
        b_(binder.Input(node, 1)),
        y_(binder.Output(node)),
        run_(binder.Choose(rows)) {}

  void Run(const StepContext&, std::uint32_t row, std::size_t begin,
           std::size_t end) const override {
    run_(a_.row(row) + begin, b_.row(row) + begin, end - begin, y_.row(row) + begin);
  }
  std::size_t width() const override { return y_.width; }
  bool IsElementWise() const override { return true; }

 private:
  RowsView a_;
  RowsView b_;
  RowsView y_;
  kernels::BinaryFn run_;
};

class ScalarOperation final : public RowOperation {
 public:
  ScalarOperation(const Binder& binder, const Node& node, kernels::Rows<kernels::ScalarFn> rows)
      : x_(binder.Input(node, 0)),
        y_(binder.Output(node)),
        run_(binder.Choose(rows)),
        scalar_(binder.OperationOf(node).arithmetic().scalar()) {}

  void Run(const StepContext&, std::uint32_t row, std::size_t begin,
           std::size_t end) const override {
    run_(x_.row(row) + begin, scalar_, end - begin, y_.row(row) + begin);
  }
  std::size_t width() const override { return y_.width; }
  bool IsElementWise() const override { return true; }

 private:
  RowsView x_;
  RowsView y_;
  kernels::ScalarFn run_;
  float scalar_;
};

// Rows of tokens: those that need an output, or the first or last one of each sequence.
class ChosenRowsOperation final : public RowOperation {
 public:
  ChosenRowsOperation(const Binder& binder, const Node& node)
      : x_(binder.Input(node, 0)),
        y_(binder.Output(node)),
        kind_(binder.OperationOf(node).gather().kind()) {}

  void Run(const StepContext& step, std::uint32_t row, std::size_t, std::size_t) const override {
    std::memcpy(y_.row(row), x_.row(From(step, row)), y_.width * sizeof(float));
  }
  std::size_t width() const override { return y_.width; }

 private:
  std::size_t From(const StepContext& step, std::uint32_t row) const {
    if (kind_ == v1::Gather::KIND_OUTPUTS) return step.outputs[row].row;
    const SpanRows& span = step.spans[row];
    return kind_ == v1::Gather::KIND_FIRST ? span.first : span.first + span.count - 1;
  }

  RowsView x_;
  RowsView y_;
  v1::Gather::Kind kind_;
};

// Within each group of a row: columns of several inputs side by side; a slice is one input from
// some column on.
class ColumnsOperation final : public RowOperation {
 public:
  ColumnsOperation(const Binder& binder, const Node& node) : y_(binder.Output(node)) {
    const v1::Operation& op = binder.OperationOf(node);
    const v1::Gather& gather = op.gather();
    const bool slice = gather.kind() == v1::Gather::KIND_SLICE;
    groups_ = std::max(1U, gather.groups());
    for (int i = 0; i < op.inputs_size(); ++i) {
      const RowsView x = binder.Input(node, i);
      const auto& repeated = gather.repeated_inputs();
      const bool repeats = std::find(repeated.begin(), repeated.end(),
                                     static_cast<std::uint32_t>(i)) != repeated.end();
      Part part{x, 0, repeats ? x.width : x.width / groups_, repeats ? 0 : x.width / groups_};
      if (slice) {
        part.from = gather.from();
        part.width = y_.width / groups_;
      }
      parts_.push_back(part);
    }
  }

  void Run(const StepContext&, std::uint32_t row, std::size_t, std::size_t) const override {
    float* y = y_.row(row);
    // One number for all of the row.
    if (parts_.size() == 1 && parts_[0].step == 0 && parts_[0].width == 1) {
      std::fill_n(y, groups_, *parts_[0].x.row(row));
      return;
    }
    for (std::size_t g = 0; g < groups_; ++g) {
      for (const Part& part : parts_) {
        std::memcpy(y, part.x.row(row) + g * part.step + part.from, part.width * sizeof(float));
        y += part.width;
      }
    }
  }
  std::size_t width() const override { return y_.width; }

 private:
  struct Part {
    RowsView x;
    std::size_t from;   // first column of a group that is taken
    std::size_t width;  // columns that are taken
    std::size_t step;   // from one group to the next
  };

  std::vector<Part> parts_;
  RowsView y_;
  std::size_t groups_;
};

// The columns of a row in another order.
class PermuteOperation final : public RowOperation {
 public:
  PermuteOperation(const Binder& binder, const Node& node)
      : x_(binder.Input(node, 0)), y_(binder.Output(node)) {
    const float* columns = binder.Numbers(true, binder.OperationOf(node).gather().columns());
    columns_.reserve(y_.width);
    for (std::size_t i = 0; i < y_.width; ++i) {
      columns_.push_back(static_cast<std::uint32_t>(columns[i]));  // the executor has checked it
    }
  }

  void Run(const StepContext&, std::uint32_t row, std::size_t begin,
           std::size_t end) const override {
    const float* x = x_.row(row);
    float* y = y_.row(row);
    for (std::size_t i = begin; i < end; ++i) y[i] = x[columns_[i]];
  }
  std::size_t width() const override { return y_.width; }

 private:
  RowsView x_;
  RowsView y_;
  std::vector<std::uint32_t> columns_;
};

class QuantizeOperation final : public RowOperation {
 public:
  QuantizeOperation(const Binder& binder, std::uint32_t index)
      : index_(index), run_(binder.Choose(kernels::QuantizeA8Rows())) {
    const Node& node = binder.schedule.nodes[index];
    x_ = binder.View(node.source);
    y_ = binder.View(node.tensor);
  }

  void Run(const StepContext& step, std::uint32_t row, std::size_t begin,
           std::size_t end) const override {
    std::byte* y = y_.bytes(row) + kernels::A8RowBytes(begin);
    if (!run_(x_.row(row) + begin, end - begin, y)) step.fault->Report(index_, row);
  }
  std::size_t width() const override { return x_.width; }
  bool IsElementWise() const override { return true; }

 private:
  std::uint32_t index_;
  RowsView x_;
  RowsView y_;
  kernels::QuantizeA8Fn run_;
};

class InspectOperation final : public RowOperation {
 public:
  InspectOperation(const Binder& binder, std::uint32_t index)
      : index_(index), x_(binder.View(binder.schedule.nodes[index].source)) {}

  void Run(const StepContext& step, std::uint32_t row, std::size_t, std::size_t) const override {
    if (!kernels::AllFinite(x_.row(row), x_.width)) step.fault->Report(index_, row);
  }
  std::size_t width() const override { return x_.width; }

 private:
  std::uint32_t index_;
  RowsView x_;
};

std::unique_ptr<RowOperation> BindArithmetic(const Binder& binder, const Node& node) {
  switch (binder.OperationOf(node).arithmetic().kind()) {
    case v1::Arithmetic::KIND_ADD:
      return std::make_unique<BinaryOperation>(binder, node, kernels::AddRows());
    case v1::Arithmetic::KIND_MULTIPLY:
      return std::make_unique<BinaryOperation>(binder, node, kernels::MultiplyRows());
    case v1::Arithmetic::KIND_SCALE:
      return std::make_unique<ScalarOperation>(binder, node, kernels::ScaleRows());
    case v1::Arithmetic::KIND_SOFT_CAP:
      return std::make_unique<ScalarOperation>(binder, node, kernels::SoftCapRows());
    default:
      return std::make_unique<ScalarOperation>(binder, node, kernels::ClampRows());
  }
}

}  // namespace

std::unique_ptr<RowOperation> BindRowOperation(const Binder& binder, std::uint32_t index) {
  const Node& node = binder.schedule.nodes[index];
  switch (node.kind) {
    case NodeKind::kQuantize:
      return std::make_unique<QuantizeOperation>(binder, index);
    case NodeKind::kInspect:
      return std::make_unique<InspectOperation>(binder, index);
    case NodeKind::kAngles:
      return std::make_unique<AnglesOperation>(binder, node);
    case NodeKind::kAppend:
      return BindAppend(binder, node);
    default:
      break;
  }
  const v1::Operation& op = binder.OperationOf(node);
  switch (op.kind_case()) {
    case v1::Operation::kEmbed:
      return std::make_unique<EmbedOperation>(binder, node);
    case v1::Operation::kNorm:
      return std::make_unique<NormOperation>(binder, node);
    case v1::Operation::kRope:
      return std::make_unique<RopeOperation>(binder, node);
    case v1::Operation::kActivation:
      return std::make_unique<ActivationOperation>(binder, node);
    case v1::Operation::kGate:
      return std::make_unique<GateOperation>(binder, node);
    case v1::Operation::kArithmetic:
      return BindArithmetic(binder, node);
    case v1::Operation::kGather:
      switch (op.gather().kind()) {
        case v1::Gather::KIND_OUTPUTS:
        case v1::Gather::KIND_FIRST:
        case v1::Gather::KIND_LAST:
          return std::make_unique<ChosenRowsOperation>(binder, node);
        case v1::Gather::KIND_PERMUTE:
          return std::make_unique<PermuteOperation>(binder, node);
        default:
          return std::make_unique<ColumnsOperation>(binder, node);
      }
    default:
      CHECK(false);
  }
}

}  // namespace bramble::worker
