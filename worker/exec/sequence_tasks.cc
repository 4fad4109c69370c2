#include "worker/exec/sequence_tasks.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "kernels/arithmetic.h"
#include "kernels/sequence.h"
#include "proto/program/limits.h"

namespace bramble::worker {
namespace {

// Columns of one item: enough work to be worth handing out, and whole cache lines.
constexpr std::size_t kPiece = 64;

// Numbers that one thread makes in about a microsecond: what it takes others to notice that there
// is work.
constexpr std::size_t kFewNumbers = 4096;

// Columns [begin, begin + count) of one sequence's rows.
struct Piece {
  std::size_t span;
  std::size_t begin;
  std::size_t count;
};

// Items are pieces of `piece` columns of each sequence.
class SequenceTask : public Task {
 public:
  // `cost`: of a number, in simple operations.
  SequenceTask(std::size_t width, std::size_t piece, std::size_t cost)
      : width_(width), piece_(piece), cost_(cost) {}

  std::uint64_t Items(const StepContext& step) const override {
    return step.spans.size() * Pieces();
  }

  void Run(const StepContext& step, std::uint64_t first, std::uint64_t last,
           int /*thread*/) const override {
    for (std::uint64_t item = first; item < last; ++item) {
      const std::size_t begin = item % Pieces() * piece_;
      RunPiece(step, {item / Pieces(), begin, std::min(piece_, width_ - begin)});
    }
  }

  bool IsSmall(const StepContext& step) const override {
    return step.rows.size() * width_ * cost_ <= kFewNumbers;
  }

 protected:
  virtual void RunPiece(const StepContext& step, const Piece& piece) const = 0;

 private:
  std::size_t Pieces() const { return (width_ + piece_ - 1) / piece_; }

  const std::size_t width_;
  const std::size_t piece_;
  const std::size_t cost_;
};

// The state of one cache, of the span's sequence.
float* StateOf(const SpanRows& span, std::size_t offset) {
  return reinterpret_cast<float*>(span.states + offset);
}

class PoolTask final : public SequenceTask {
 public:
  PoolTask(const Binder& binder, const program::Node& node)
      : SequenceTask(binder.Output(node).width, kPiece, 1),
        x_(binder.Input(node, 0)),
        y_(binder.Output(node)),
        mean_(binder.OperationOf(node).pool().kind() == v1::Pool::KIND_MEAN),
        join_(binder.Choose(binder.OperationOf(node).pool().kind() == v1::Pool::KIND_MAX
                                ? kernels::MaximumRows()
                                : kernels::AddRows())),
        scale_(binder.Choose(kernels::ScaleRows())) {}

 protected:
  void RunPiece(const StepContext& step, const Piece& piece) const override {
    const SpanRows& span = step.spans[piece.span];
    float* y = y_.row(piece.span) + piece.begin;
    std::memcpy(y, x_.row(span.first) + piece.begin, piece.count * sizeof(float));
    for (std::size_t r = 1; r < span.count; ++r) {
      join_(y, x_.row(span.first + r) + piece.begin, piece.count, y);
    }
    if (mean_) scale_(y, 1.0F / static_cast<float>(span.count), piece.count, y);
  }

 private:
  RowsView x_;
  RowsView y_;
  bool mean_;
  kernels::BinaryFn join_;
  kernels::ScalarFn scale_;
};

class ConvolutionTask final : public SequenceTask {
 public:
  ConvolutionTask(const Binder& binder, const program::Node& node)
      : SequenceTask(binder.Output(node).width, kPiece, 2),
        x_(binder.Input(node, 0)),
        y_(binder.Output(node)),
        run_(binder.Choose(kernels::ConvolutionRows())) {
    const v1::Convolution& convolution = binder.OperationOf(node).convolution();
    weights_ = binder.Numbers(true, convolution.weight());
    bias_ = binder.Numbers(convolution.has_bias(), convolution.bias());
    taps_ = binder.program.weights(static_cast<int>(convolution.weight())).shape(0);
    state_offset_ = binder.states.cache_offset[convolution.cache()];
  }

 protected:
  void RunPiece(const StepContext& step, const Piece& piece) const override {
    const SpanRows& span = step.spans[piece.span];
    if (span.position == 0) ClearState(span, piece);
    std::array<const float*, program::kMaxTaps> rows;
    kernels::ConvolutionArgs args{};
    args.rows = rows.data();
    args.taps = taps_;
    args.weights = weights_ + piece.begin;
    args.weight_stride = y_.width;
    args.bias = bias_ == nullptr ? nullptr : bias_ + piece.begin;
    args.n = piece.count;
    for (std::size_t r = 0; r < span.count; ++r) {
      for (std::size_t j = 0; j < taps_; ++j) rows[j] = RowAt(span, r + j) + piece.begin;
      args.y = y_.row(span.first + r) + piece.begin;
      run_(args);
    }
    // The last rows become the state, the oldest first: none is overwritten before it is moved.
    for (std::size_t r = 0; r + 1 < taps_; ++r) {
      std::memmove(StateRow(span, r) + piece.begin, RowAt(span, r + span.count) + piece.begin,
                   piece.count * sizeof(float));
    }
  }

 private:
  float* StateRow(const SpanRows& span, std::size_t r) const {
    return StateOf(span, state_offset_) + r * y_.width;
  }

  // Of the state's rows and then the span's.
  const float* RowAt(const SpanRows& span, std::size_t r) const {
    return r + 1 < taps_ ? StateRow(span, r) : x_.row(span.first + r + 1 - taps_);
  }

  void ClearState(const SpanRows& span, const Piece& piece) const {
    for (std::size_t r = 0; r + 1 < taps_; ++r) {
      std::fill_n(StateRow(span, r) + piece.begin, piece.count, 0.0F);
    }
  }

  RowsView x_;
  RowsView y_;
  kernels::ConvolutionFn run_;
  const float* weights_;
  const float* bias_;
  std::size_t taps_;
  std::size_t state_offset_;
};

// The two forms of a state space; of the dual one an item is a head.
class StateSpaceTask final : public SequenceTask {
 public:
  StateSpaceTask(const Binder& binder, const program::Node& node, bool dual)
      : SequenceTask(binder.Output(node).width, PieceOf(binder, node, dual),
                     4 * std::size_t{binder.OperationOf(node).recurrence().state_size()}),
        dual_(dual),
        x_(binder.Input(node, 0)),
        step_(binder.Input(node, 1)),
        b_(binder.Input(node, 2)),
        c_(binder.Input(node, 3)),
        y_(binder.Output(node)),
        run_(binder.Choose(dual ? kernels::StateSpaceDualRows() : kernels::SelectiveScanRows())) {
    const v1::Recurrence& recurrence = binder.OperationOf(node).recurrence();
    state_size_ = recurrence.state_size();
    head_width_ = y_.width / recurrence.heads();
    heads_of_group_ = recurrence.heads() / (b_.width / state_size_);
    decay_ = binder.Numbers(true, recurrence.weights(0));
    skip_ = binder.Numbers(true, recurrence.weights(1));
    state_offset_ = binder.states.cache_offset[recurrence.cache()];
  }

 protected:
  void RunPiece(const StepContext& step, const Piece& piece) const override {
    const SpanRows& span = step.spans[piece.span];
    const std::size_t head = piece.begin / head_width_;  // of the dual form; else the first column
    const std::size_t group = dual_ ? head / heads_of_group_ * state_size_ : 0;
    kernels::StateSpaceArgs args{};
    args.decay = dual_ ? decay_ + head : decay_ + piece.begin * state_size_;
    args.skip = skip_ + head;
    args.n = piece.count;
    args.state_size = state_size_;
    args.state = StateOf(span, state_offset_) + piece.begin * state_size_;
    if (span.position == 0) std::fill_n(args.state, piece.count * state_size_, 0.0F);
    for (std::size_t r = span.first; r < span.first + span.count; ++r) {
      args.x = x_.row(r) + piece.begin;
      args.step = step_.row(r) + head;
      args.b = b_.row(r) + group;
      args.c = c_.row(r) + group;
      args.y = y_.row(r) + piece.begin;
      run_(args);
    }
  }

 private:
  static std::size_t PieceOf(const Binder& binder, const program::Node& node, bool dual) {
    return dual ? binder.Output(node).width / binder.OperationOf(node).recurrence().heads()
                : kPiece;
  }

  bool dual_;
  RowsView x_;
  RowsView step_;
  RowsView b_;
  RowsView c_;
  RowsView y_;
  kernels::StateSpaceFn run_;
  std::size_t state_size_;
  std::size_t head_width_;
  std::size_t heads_of_group_;
  const float* decay_;
  const float* skip_;
  std::size_t state_offset_;
};

class WkvTask final : public SequenceTask {
 public:
  WkvTask(const Binder& binder, const program::Node& node)
      : SequenceTask(binder.Output(node).width, kPiece, 16),
        k_(binder.Input(node, 0)),
        v_(binder.Input(node, 1)),
        y_(binder.Output(node)),
        run_(binder.Choose(kernels::WkvRows())) {
    const v1::Recurrence& recurrence = binder.OperationOf(node).recurrence();
    decay_ = binder.Numbers(true, recurrence.weights(0));
    first_ = binder.Numbers(true, recurrence.weights(1));
    state_offset_ = binder.states.cache_offset[recurrence.cache()];
  }

 protected:
  void RunPiece(const StepContext& step, const Piece& piece) const override {
    const SpanRows& span = step.spans[piece.span];
    float* state = StateOf(span, state_offset_) + piece.begin;
    kernels::WkvArgs args{};
    args.decay = decay_ + piece.begin;
    args.first = first_ + piece.begin;
    args.n = piece.count;
    args.numerator = state;
    args.denominator = state + y_.width;
    args.maximum = state + 2 * y_.width;
    if (span.position == 0) {
      std::fill_n(args.numerator, piece.count, 0.0F);
      std::fill_n(args.denominator, piece.count, 0.0F);
      std::fill_n(args.maximum, piece.count, kernels::kWkvFirstMaximum);
    }
    for (std::size_t r = span.first; r < span.first + span.count; ++r) {
      args.k = k_.row(r) + piece.begin;
      args.v = v_.row(r) + piece.begin;
      args.y = y_.row(r) + piece.begin;
      run_(args);
    }
  }

 private:
  RowsView k_;
  RowsView v_;
  RowsView y_;
  kernels::WkvFn run_;
  const float* decay_;
  const float* first_;
  std::size_t state_offset_;
};

}  // namespace

std::unique_ptr<Task> BindPool(const Binder& binder, const program::Node& node) {
  return std::make_unique<PoolTask>(binder, node);
}

std::unique_ptr<Task> BindConvolution(const Binder& binder, const program::Node& node) {
  return std::make_unique<ConvolutionTask>(binder, node);
}

std::unique_ptr<Task> BindRecurrence(const Binder& binder, const program::Node& node) {
  const v1::Recurrence::Kind kind = binder.OperationOf(node).recurrence().kind();
  if (kind == v1::Recurrence::KIND_WKV) return std::make_unique<WkvTask>(binder, node);
  return std::make_unique<StateSpaceTask>(binder, node,
                                          kind == v1::Recurrence::KIND_STATE_SPACE_DUAL);
}

}  // namespace bramble::worker
