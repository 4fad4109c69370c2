#include "worker/exec/matrix_tasks.h"

#include <algorithm>

#include "kernels/a8.h"
#include "kernels/attention.h"
#include "worker/exec/append.h"

namespace bramble::worker {
namespace {

// The count of memory (proto/program) has its own copies of these: it may not see the kernels.
static_assert(kernels::A8RowBytes(32) == 48);
static_assert(kernels::AttentionScratchFloats(3, 64) == 966);

// Inputs of so many bytes stay in a core's second cache while the panels go by.
constexpr std::size_t kInputBytes = std::size_t{256} * 1024;

class LinearTask final : public Task {
 public:
  LinearTask(const Binder& binder, const program::Node& node)
      : weight_(binder.weights.matrix(node.block, node.operation)) {
    const v1::Operation& op = binder.OperationOf(node);
    std::uint32_t source = binder.schedule.of_value[node.block][op.inputs(0)];
    if (op.linear().input_form() == v1::INPUT_FORM_A8_32) {
      source = binder.schedule.quantized[source];
    }
    input_ = binder.View(source);
    output_ = binder.Output(node);
    rows_ = binder.schedule.tensors[node.tensor].rows;
    bias_ = binder.Numbers(op.linear().has_bias(), op.linear().bias());
    // Of a weight that is also a table the first rows may be asked for alone.
    panels_ = (output_.width + kernels::kPanelRows - 1) / kernels::kPanelRows;
    piece_ = std::max<std::size_t>(kInputBytes / input_.stride, 16);
    binder.variants.insert(weight_.kernel->name);
  }

  std::uint64_t Items(const StepContext& step) const override {
    return (RowCount(step, rows_) + piece_ - 1) / piece_ * panels_;
  }

  void Run(const StepContext& step, std::uint64_t first, std::uint64_t last, int) const override {
    const std::size_t rows = RowCount(step, rows_);
    while (first < last) {
      const std::size_t piece = first / panels_;
      const std::size_t begin = first % panels_;
      const std::size_t end = std::min<std::uint64_t>(panels_, begin + (last - first));
      RunPanels(piece * piece_, std::min(rows, (piece + 1) * piece_), begin, end);
      first += end - begin;
    }
  }

 private:
  void RunPanels(std::size_t first_row, std::size_t last_row, std::size_t first_panel,
                 std::size_t last_panel) const {
    kernels::MatmulArgs args{};
    args.shape = &weight_.shape;
    args.packed = weight_.data;
    args.input = input_.bytes(first_row);
    args.input_stride = input_.stride;
    args.rows = last_row - first_row;
    args.bias = bias_;
    args.output = output_.row(first_row);
    args.output_stride = output_.stride / sizeof(float);
    args.first_output = first_panel * kernels::kPanelRows;
    args.last_output = std::min<std::size_t>(last_panel * kernels::kPanelRows, output_.width);
    weight_.kernel->run(args);
  }

  const LoadedWeight& weight_;
  RowsView input_;
  RowsView output_;
  v1::RowKind rows_;
  const float* bias_;
  std::size_t panels_;
  std::size_t piece_;  // rows
};

class AttentionTask final : public Task {
 public:
  AttentionTask(const Binder& binder, const program::Node& node, std::uint32_t quantize)
      : rows_(binder.OutputRows(node)),
        queries_(binder.Input(node, 0)),
        output_(binder.Output(node)),
        scratch_(binder.thread_scratch),
        scratch_bytes_(binder.thread_scratch_bytes),
        quantize_(quantize) {
    const v1::Attention& attention = binder.OperationOf(node).attention();
    cache_ = LayoutOf(binder, attention.cache());
    run_ = binder.Choose(kernels::AttentionRows());
    group_ = attention.heads() / cache_.kv_heads;
    sees_ = attention.sees();
    window_ = attention.window();
    scale_ = attention.scale();
    soft_cap_ = attention.soft_cap();
    slopes_ = binder.Numbers(attention.has_slopes(), attention.slopes());
    sinks_ = binder.Numbers(attention.has_sinks(), attention.sinks());
    BindBuckets(binder, attention);
    // A part must be whole groups of 32 if it quantizes itself.
    may_cut_group_ = quantize_ == program::kNone || cache_.value_dim % kernels::kA8Values == 0;
    if (quantize_ != program::kNone) {
      quantized_ = binder.View(binder.schedule.nodes[quantize_].tensor);
      quantize_a8_ = binder.Choose(kernels::QuantizeA8Rows());
    }
  }

  std::uint64_t Items(const StepContext& step) const override {
    return RowCount(step, rows_) * cache_.kv_heads * Parts(step);
  }

  void Run(const StepContext& step, std::uint64_t first, std::uint64_t last,
           int thread) const override {
    const std::size_t rows = RowCount(step, rows_);
    const std::size_t parts = Parts(step);
    // Rows of one head follow each other: in a prompt they read the same keys.
    for (std::uint64_t item = first; item < last; ++item) {
      const std::size_t kv_head = item / rows / parts;
      const std::size_t part = item / rows % parts;
      const Heads heads{kv_head, kv_head * group_ + group_ * part / parts,
                        kv_head * group_ + group_ * (part + 1) / parts};
      RunItem(step, static_cast<std::uint32_t>(item % rows), heads, thread);
    }
  }

 private:
  // Query heads [first, last), which share a key-value head.
  struct Heads {
    std::size_t kv_head;
    std::size_t first;
    std::size_t last;
  };

  // Into how many parts a group of query heads is cut: more than one only if some threads would
  // have nothing to do, because each part reads the keys again.
  std::size_t Parts(const StepContext& step) const {
    const std::size_t items = RowCount(step, rows_) * cache_.kv_heads;
    const auto threads = static_cast<std::size_t>(step.threads);
    if (!may_cut_group_ || items >= threads || items == 0) return 1;
    return std::min(group_, (threads + items - 1) / items);
  }

  void BindBuckets(const Binder& binder, const v1::Attention& attention) {
    if (!attention.has_bucket_bias()) return;
    bucket_bias_ = binder.Numbers(true, attention.bucket_bias());
    bucket_ids_ = binder.Numbers(true, attention.bucket_ids());
    heads_ = attention.heads();
    const auto& ids = binder.program.weights(static_cast<int>(attention.bucket_ids()));
    reach_ = static_cast<std::uint32_t>(ids.shape(0) / 2);
  }

  // The positions that a row sees.
  struct Seen {
    std::uint32_t first;
    std::uint32_t last;
  };
  Seen SeenBy(const StepContext& step, const Row& row) const {
    if (sees_ == v1::Attention::SEES_CROSS) {
      return {0, step.sequences->at(row.sequence).source_length};
    }
    const std::uint32_t next = row.position + 1;
    Seen seen{window_ != 0 && next > window_ ? next - window_ : 0, next};
    if (sees_ == v1::Attention::SEES_BIDIRECTIONAL) {
      const bool near = window_ != 0 && window_ < row.end - row.position;
      seen.last = near ? row.position + window_ : row.end;
    }
    return seen;
  }

  void RunItem(const StepContext& step, std::uint32_t row, const Heads& heads, int thread) const {
    const Row& r = PlacesOf(step, rows_)[row];
    const Seen seen = SeenBy(step, r);
    kernels::AttentionArgs args{};
    args.queries = queries_.row(row) + heads.first * cache_.key_dim;
    args.group = heads.last - heads.first;
    args.key_dim = cache_.key_dim;
    args.value_dim = cache_.value_dim;
    args.pages = r.pages;
    args.page_positions = cache_.page_positions;
    args.encoding = cache_.encoding;
    args.key_offset = cache_.key_offset(heads.kv_head);
    args.key_stride = cache_.key_stride();
    args.value_offset = cache_.value_offset(heads.kv_head);
    args.value_stride = cache_.value_stride();
    args.first = seen.first;
    args.last = seen.last;
    args.query_position = r.position;
    args.scale = scale_;
    args.soft_cap = soft_cap_;
    args.slopes = slopes_ == nullptr ? nullptr : slopes_ + heads.first;
    args.sinks = sinks_ == nullptr ? nullptr : sinks_ + heads.first;
    if (bucket_bias_ != nullptr) {
      args.bucket_bias = bucket_bias_ + heads.first;
      args.bucket_ids = bucket_ids_;
      args.bucket_stride = heads_;
      args.reach = reach_;
    }
    args.output = output_.row(row) + heads.first * cache_.value_dim;
    args.scratch =
        reinterpret_cast<float*>(scratch_ + static_cast<std::size_t>(thread) * scratch_bytes_);
    run_(args);
    if (quantize_ != program::kNone) Quantize(step, row, heads);
  }

  void Quantize(const StepContext& step, std::uint32_t row, const Heads& heads) const {
    const std::size_t begin = heads.first * cache_.value_dim;
    const std::size_t width = (heads.last - heads.first) * cache_.value_dim;
    std::byte* place = quantized_.bytes(row) + kernels::A8RowBytes(begin);
    if (!quantize_a8_(output_.row(row) + begin, width, place)) step.fault->Report(quantize_, row);
  }

  v1::RowKind rows_;
  RowsView queries_;
  RowsView output_;
  std::byte* scratch_;
  std::size_t scratch_bytes_;
  std::uint32_t quantize_;
  RowsView quantized_;
  kernels::QuantizeA8Fn quantize_a8_ = nullptr;
  CacheLayout cache_;
  kernels::AttentionFn run_;
  std::size_t group_;
  bool may_cut_group_;
  v1::Attention::Sees sees_;
  std::uint32_t window_;
  float scale_;
  float soft_cap_;
  const float* slopes_;
  const float* sinks_;
  const float* bucket_bias_ = nullptr;  // [buckets, heads]
  const float* bucket_ids_ = nullptr;
  std::size_t heads_ = 0;
  std::uint32_t reach_ = 0;
};

}  // namespace

std::unique_ptr<Task> BindLinear(const Binder& binder, const program::Node& node) {
  return std::make_unique<LinearTask>(binder, node);
}

std::unique_ptr<Task> BindAttention(const Binder& binder, const program::Node& node,
                                    std::uint32_t quantize) {
  return std::make_unique<AttentionTask>(binder, node, quantize);
}

}  // namespace bramble::worker
