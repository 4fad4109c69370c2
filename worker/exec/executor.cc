#include "worker/exec/executor.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <set>
#include <utility>

#include "kernels/a8.h"
#include "kernels/cpu.h"
#include "proto/program/check.h"
#include "proto/program/memory.h"
#include "proto/program/plan_buffers.h"
#include "proto/program/schedule.h"
#include "proto/program/traits.h"
#include "proto/program/weights.h"
#include "worker/exec/compile.h"
#include "worker/exec/region.h"
#include "worker/exec/sequences.h"
#include "worker/exec/team.h"
#include "worker/exec/weights.h"

namespace bramble::worker {
namespace {

static_assert(sizeof(Row) <= program::kRowBytes && sizeof(OutputRow) <= program::kRowBytes);

int ChooseThreads(int asked) {
  int threads = asked;
  if (threads == 0) {
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    threads = sched_getaffinity(0, sizeof(cpus), &cpus) == 0 ? CPU_COUNT(&cpus) : 1;
  }
  return std::clamp(threads, 1, static_cast<int>(program::kMaxThreads));
}

Status CheckMemory(const program::MemoryNeed& need, std::uint64_t limit) {
  // Beyond this no machine has memory, and sums of bytes would not fit a size.
  constexpr std::uint64_t kMost = std::uint64_t{1} << 47U;
  const std::uint64_t allowed = limit == 0 ? kMost : std::min(limit, kMost);
  if (need.total <= allowed) return {};
  return Exhausted("needs ", need.total, " bytes (weights ", need.weight_bytes, ", caches ",
                   need.cache_bytes, ", buffers ", need.buffer_bytes, "), allowed are ", allowed);
}

// The parts of the buffers' memory, one behind the other.
struct BufferParts {
  std::uint64_t arena;
  std::uint64_t thread_scratch;
  std::uint64_t samplers;
  std::uint64_t sequences;
};

// A stream that crosses the shard's border.
struct Crossing {
  std::string name;
  v1::RowKind rows;
  RowsView view;
};

// A step, level by level.
class StepWork final : public Team::Work {
 public:
  StepWork(const std::vector<Level>& levels, const StepContext& context)
      : levels_(levels), context_(context) {}

  // Runs the levels that are too small to be shared; the items of the first that is not. The end
  // of the program, or of a step that fails, is 0.
  std::uint64_t Next() override {
    for (; next_ < levels_.size() && !Ended(); ++next_) {
      current_ = &levels_[next_];
      std::uint64_t items = 0;
      bool small = true;
      for (const auto& task : current_->tasks) {
        items += task->Items(context_);
        small = small && task->IsSmall(context_);
      }
      // A level without items has nothing to wait for: no source came, or nothing is asked for.
      if (!small && items > 0) {
        ++next_;
        return items;
      }
      Do(0, items, 0);
    }
    return 0;
  }

  // A range may reach over several tasks.
  void Do(std::uint64_t first, std::uint64_t last, int thread) override {
    std::uint64_t begin = 0;
    for (const auto& task : current_->tasks) {
      const std::uint64_t end = begin + task->Items(context_);
      const std::uint64_t from = std::max(first, begin);
      const std::uint64_t to = std::min(last, end);
      if (from < to) task->Run(context_, from - begin, to - begin, thread);
      begin = end;
    }
  }

 private:
  bool Ended() const { return context_.fault->any() || !context_.interruption->ok(); }

  const std::vector<Level>& levels_;
  const StepContext& context_;
  std::size_t next_ = 0;
  const Level* current_ = nullptr;
};

class ProgramExecutor final : public Executor {
 public:
  ProgramExecutor(const v1::Program& shard, const v1::Limits& limits, int threads, Peers* peers)
      : program_(shard), limits_(limits), team_(threads), peers_(peers) {}

  Status Load(const ExecutorOptions& options, WeightSource& source);
  Status Run(const v1::Step& step, std::span<const std::span<const std::byte>> inputs,
             StepOutput& out) override {
    if (peers_ != nullptr) peers_->Begin(step.number());
    Status status = RunStep(step, inputs, out);
    if (!status.ok()) out.outputs.clear();
    if (!status.ok() && peers_ != nullptr) peers_->Fail(status);
    return status;
  }
  v1::MemoryUse MemoryUse() const override { return memory_; }
  std::uint32_t PagesInUse() const override { return sequences_->pages_in_use(); }
  std::vector<std::string> Variants() const override {
    return {variants_.begin(), variants_.end()};
  }

 private:
  Status RunStep(const v1::Step& step, std::span<const std::span<const std::byte>> inputs,
                 StepOutput& out);
  Status CheckFrequencies() const;
  Status CheckBuckets() const;
  Status CheckColumns() const;
  Status AllocateBuffers(const program::BufferPlan& plan, const program::PageLayout& pages);
  void BindCrossings(const Binder& binder);
  Status CheckInputs(const v1::Step& step,
                     std::span<const std::span<const std::byte>> inputs) const;
  void TakeInputs(std::span<const std::span<const std::byte>> inputs);
  Status FaultStatus(StepOutput& out) const;
  Row RowOfFault(v1::RowKind rows) const;
  void GiveOutputs(const StepContext& context, StepOutput& out) const;

  const v1::Program program_;
  const v1::Limits limits_;
  program::Schedule schedule_;
  Team team_;
  Peers* const peers_;
  LoadedWeights weights_;
  Region cache_;
  Region buffers_;
  BufferParts at_{};  // offsets into buffers_
  std::unique_ptr<Sequences> sequences_;
  std::vector<Level> levels_;
  std::vector<Crossing> entering_;
  std::vector<Crossing> leaving_;
  bool samples_ = false;
  FirstFault fault_;
  v1::MemoryUse memory_;
  std::set<std::string> variants_;
};

Status ProgramExecutor::Load(const ExecutorOptions& options, WeightSource& source) {
  kernels::Features features = kernels::kNothing;
  if (kernels::ChooseIsa(options.isa, &features) != kernels::IsaChoice::kOk) {
    return Invalid("instruction set '", program::Printable(options.isa, "unnamed", 0),
                   "' is unknown or not this CPU's; there are ", kernels::IsaNames());
  }
  const program::PageLayout pages = program::LayOutPages(program_, limits_);
  schedule_ = program::MakeSchedule(program_);
  const program::BufferPlan plan = program::PlanBuffers(schedule_, limits_);
  RETURN_IF_ERROR(AllocateBuffers(plan, pages));
  ASSIGN_OR_RETURN(weights_, LoadedWeights::Load(program_, features, team_, source));
  RETURN_IF_ERROR(CheckFrequencies());
  RETURN_IF_ERROR(CheckBuckets());
  RETURN_IF_ERROR(CheckColumns());
  memory_.set_weight_bytes(weights_.bytes());
  memory_.set_cache_bytes(cache_.size());
  memory_.set_buffer_bytes(buffers_.size() +
                           program::kRowBytes *
                               (2 * std::uint64_t{limits_.max_rows()} + limits_.max_outputs()));
  const program::StateLayout states = program::LayOutStates(program_);
  const Binder binder{program_,
                      limits_,
                      schedule_,
                      plan,
                      pages,
                      states,
                      weights_,
                      features,
                      buffers_.data() + at_.arena,
                      buffers_.data() + at_.thread_scratch,
                      program::ThreadScratchBytes(program_, limits_),
                      buffers_.data() + at_.samplers,
                      program::SamplerCount(program_, limits_),
                      peers_,
                      variants_};
  levels_ = Compile(binder);
  BindCrossings(binder);
  samples_ = program::SamplerCount(program_, limits_) > 0;
  return {};
}

// The reduction of an angle is exact below 2^31 radians (kernels/rope.h).
Status ProgramExecutor::CheckFrequencies() const {
  for (const v1::Block& block : program_.blocks()) {
    for (const v1::Operation& op : block.operations()) {
      if (!op.has_rope()) continue;
      const float* frequencies = weights_.vector(op.rope().frequencies()).numbers();
      for (std::uint32_t i = 0; i < op.rope().dims() / 2; ++i) {
        if (std::abs(double{frequencies[i]}) * program_.context_length() < 0x1p31) continue;
        return Invalid(block.name(), "/", op.name(), ": a frequency of ", frequencies[i],
                       " radians is too large for a context of ", program_.context_length());
      }
    }
  }
  return {};
}

// A kernel looks up the bias of a bucket without asking whether there is one.
Status ProgramExecutor::CheckBuckets() const {
  for (const v1::Block& block : program_.blocks()) {
    for (const v1::Operation& op : block.operations()) {
      if (!op.has_attention() || !op.attention().has_bucket_ids()) continue;
      const auto& weights = program_.weights();
      const std::uint64_t count = weights[static_cast<int>(op.attention().bucket_ids())].shape(0);
      const std::uint64_t buckets =
          weights[static_cast<int>(op.attention().bucket_bias())].shape(0);
      const float* ids = weights_.vector(op.attention().bucket_ids()).numbers();
      for (std::uint64_t i = 0; i < count; ++i) {
        if (ids[i] >= 0 && ids[i] < static_cast<float>(buckets) && ids[i] == std::floor(ids[i])) {
          continue;
        }
        return Invalid(block.name(), "/", op.name(), ": bucket_ids[", i, "] is ", ids[i],
                       ", must be a whole number below ", buckets);
      }
    }
  }
  return {};
}

// A permutation reads the columns that its weight names without asking whether they exist.
Status ProgramExecutor::CheckColumns() const {
  for (const v1::Block& block : program_.blocks()) {
    for (const v1::Operation& op : block.operations()) {
      if (!op.has_gather() || !op.gather().has_columns()) continue;
      const std::uint32_t width = block.values(static_cast<int>(op.inputs(0))).width();
      const std::uint32_t count = block.values(static_cast<int>(op.outputs(0))).width();
      const float* columns = weights_.vector(op.gather().columns()).numbers();
      for (std::uint32_t i = 0; i < count; ++i) {
        if (columns[i] >= 0 && columns[i] < static_cast<float>(width) &&
            columns[i] == std::floor(columns[i])) {
          continue;
        }
        return Invalid(block.name(), "/", op.name(), ": columns[", i, "] is ", columns[i],
                       ", must be a whole number below ", width);
      }
    }
  }
  return {};
}

Status ProgramExecutor::AllocateBuffers(const program::BufferPlan& plan,
                                        const program::PageLayout& pages) {
  at_.arena = 0;
  at_.thread_scratch = plan.bytes;
  at_.samplers =
      at_.thread_scratch + program::kMaxThreads * program::ThreadScratchBytes(program_, limits_);
  at_.sequences =
      at_.samplers + program::SamplerCount(program_, limits_) * program::SamplerBytes(program_);
  const std::uint64_t end =
      at_.sequences + program::SequenceBytes(program_, limits_) * limits_.max_sequences();
  ASSIGN_OR_RETURN(buffers_, Region::Allocate(end, "the buffers"));
  ASSIGN_OR_RETURN(cache_, Region::Allocate(pages.page_bytes * limits_.pages() +
                                                program::StateBytes(program_, limits_),
                                            "the caches"));
  sequences_ = std::make_unique<Sequences>(program_, limits_, buffers_.data() + at_.sequences,
                                           cache_.data(), pages.page_bytes);
  return {};
}

void ProgramExecutor::BindCrossings(const Binder& binder) {
  for (int i = 0; i < program_.streams_size(); ++i) {
    const v1::Stream& stream = program_.streams(i);
    const auto index = static_cast<std::size_t>(i);
    const Crossing crossing{program::Printable(stream.name(), "stream", index), stream.rows(),
                            binder.View(schedule_.of_stream[index])};
    if (stream.enters()) entering_.push_back(crossing);
    if (stream.leaves()) leaving_.push_back(crossing);
  }
}

Status ProgramExecutor::CheckInputs(const v1::Step& step,
                                    std::span<const std::span<const std::byte>> inputs) const {
  std::map<v1::RowKind, std::uint64_t> rows;
  rows[v1::ROW_KIND_SEQUENCE] = static_cast<std::uint64_t>(step.spans_size());
  for (const v1::Span& span : step.spans()) {
    rows[v1::ROW_KIND_TOKEN] += static_cast<std::uint64_t>(span.ids_size());
    rows[v1::ROW_KIND_SOURCE] += static_cast<std::uint64_t>(span.source_ids_size());
    rows[v1::ROW_KIND_OUTPUT] += static_cast<std::uint64_t>(span.outputs_size());
  }
  if (inputs.size() != entering_.size()) {
    return Invalid("activations: ", inputs.size(), " streams came, ", entering_.size(), " enter");
  }
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const Crossing& crossing = entering_[i];
    const std::uint64_t want = rows[crossing.rows] * crossing.view.width * sizeof(float);
    if (inputs[i].size() != want) {
      return Invalid("activations[", i, "] (", crossing.name, ") has ", inputs[i].size(),
                     " bytes, the step needs ", want);
    }
  }
  return {};
}

void ProgramExecutor::TakeInputs(std::span<const std::span<const std::byte>> inputs) {
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const RowsView& view = entering_[i].view;
    const std::size_t row_bytes = view.width * sizeof(float);
    for (std::size_t r = 0; r * row_bytes < inputs[i].size(); ++r) {
      std::memcpy(view.bytes(r), inputs[i].data() + r * row_bytes, row_bytes);
    }
  }
}

Status ProgramExecutor::RunStep(const v1::Step& step,
                                std::span<const std::span<const std::byte>> inputs,
                                StepOutput& out) {
  out = StepOutput();
  RETURN_IF_ERROR(sequences_->Close(step));
  // Of a step that failed further up only the closed sequences are left.
  if (!step.spans().empty()) RETURN_IF_ERROR(CheckInputs(step, inputs));
  RETURN_IF_ERROR(sequences_->Begin(step));
  StepContext context;
  context.sequences = sequences_.get();
  context.rows = sequences_->rows();
  context.sources = sequences_->sources();
  context.spans = sequences_->spans();
  context.outputs = sequences_->outputs();
  context.threads = team_.size();
  context.fault = &fault_;
  if (context.rows.empty()) {
    GiveOutputs(context, out);
    return {};
  }
  if (samples_) out.outputs.resize(context.outputs.size());
  context.results = out.outputs;
  TakeInputs(inputs);
  fault_.Clear();
  Status interruption;
  context.interruption = &interruption;
  StepWork work(levels_, context);
  team_.Run(work);
  if (fault_.any()) return FaultStatus(out);
  RETURN_IF_ERROR(interruption);
  sequences_->Commit();
  GiveOutputs(context, out);
  return {};
}

Status ProgramExecutor::FaultStatus(StepOutput& out) const {
  const program::Node& node = schedule_.nodes[fault_.node()];
  const v1::Block& block = program_.blocks(static_cast<int>(node.block));
  const v1::Operation& op = block.operations(static_cast<int>(node.operation));
  // The node quantizes or inspects what its operation reads.
  const v1::RowKind rows =
      op.has_sample() ? v1::ROW_KIND_OUTPUT : schedule_.tensors[node.source].rows;
  const Row row = RowOfFault(rows);
  out.failed_sequence = row.sequence;
  return Invalid(program::Printable(block.name(), "block", node.block), "/",
                 program::Printable(op.name(), "operation", node.operation),
                 ": its input is not finite (sequence ", *out.failed_sequence, ", position ",
                 row.position, ")");
}

// Where the row at fault belongs; a sequence's is its first.
Row ProgramExecutor::RowOfFault(v1::RowKind rows) const {
  switch (rows) {
    case v1::ROW_KIND_TOKEN:
      return sequences_->rows()[fault_.row()];
    case v1::ROW_KIND_SOURCE:
      return sequences_->sources()[fault_.row()];
    case v1::ROW_KIND_SEQUENCE:
      return sequences_->rows()[sequences_->spans()[fault_.row()].first];
    default:
      return sequences_->rows()[sequences_->outputs()[fault_.row()].row];
  }
}

void ProgramExecutor::GiveOutputs(const StepContext& context, StepOutput& out) const {
  for (const Crossing& crossing : leaving_) {
    const std::size_t rows = RowCount(context, crossing.rows);
    const std::size_t row_bytes = crossing.view.width * sizeof(float);
    std::string& bytes = out.activations.emplace_back();
    bytes.reserve(rows * row_bytes);
    for (std::size_t r = 0; r < rows; ++r) {
      bytes.append(reinterpret_cast<const char*>(crossing.view.bytes(r)), row_bytes);
    }
  }
}

}  // namespace

Result<std::unique_ptr<Executor>> Executor::Create(const v1::Program& shard,
                                                   const v1::Limits& limits,
                                                   const ExecutorOptions& options,
                                                   WeightSource& source) {
  RETURN_IF_ERROR(program::CheckProgram(shard));
  RETURN_IF_ERROR(program::CheckLimits(limits));
  RETURN_IF_ERROR(CheckMemory(program::Memory(shard, limits), options.memory_limit));
  if (options.peers == nullptr && program::TraitsOf(shard).meets) {
    return Invalid("the program is a slice, and there are no other members");
  }
  auto executor = std::make_unique<ProgramExecutor>(shard, limits, ChooseThreads(options.threads),
                                                    options.peers);
  RETURN_IF_ERROR(executor->Load(options, source));
  return std::unique_ptr<Executor>(std::move(executor));
}

}  // namespace bramble::worker
