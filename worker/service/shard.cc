#include "worker/service/shard.h"

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "common/log.h"
#include "proto/program/weights.h"
#include "worker/exec/executor.h"
#include "worker/metrics.h"

namespace bramble::worker {
namespace {

// The store's weights, each mapped while it is copied.
class StoredWeights : public WeightSource {
 public:
  explicit StoredWeights(WeightStore* store) : store_(store) {}

  Result<std::span<const std::byte>> Bytes(const v1::Weight& weight) override {
    ASSIGN_OR_RETURN(MappedFile file, store_->Map(weight.sha256(), program::WeightBytes(weight)));
    const auto bytes = file.bytes();
    copied_bytes_ += bytes.size();
    mapped_.insert_or_assign(&weight, std::move(file));
    return bytes;
  }

  void Done(const v1::Weight& weight) override { mapped_.erase(&weight); }

  std::uint64_t copied_bytes() const { return copied_bytes_; }

 private:
  WeightStore* const store_;
  std::map<const v1::Weight*, MappedFile> mapped_;
  std::uint64_t copied_bytes_ = 0;
};

// Names each request once, in the logs of every worker.
void LogStarts(const v1::Step& step) {
  for (const v1::Span& span : step.spans()) {
    if (!span.has_start()) continue;
    LogDebug("sequence starts", {{"request_id", span.start().request_id()},
                                 {"sequence", span.sequence()},
                                 {"step", step.number()}});
  }
}

template <typename Strings>
std::uint64_t Bytes(const Strings& strings) {
  std::uint64_t bytes = 0;
  for (const std::string& string : strings) bytes += string.size();
  return bytes;
}

void RunStep(Executor& executor, Work& work) {
  const v1::Step& step = work.message.step();
  // Of a step that failed further up only the closed sequences are left.
  const bool failed = work.message.has_failure();
  if (failed && step.closed().empty()) return;
  if (LogEnabled(LogLevel::kDebug)) LogStarts(step);
  std::vector<std::span<const std::byte>> inputs;
  for (const std::string& activation : work.message.activations()) {
    inputs.push_back(std::as_bytes(std::span(activation)));
  }
  StepOutput output;
  const Status status = executor.Run(step, inputs, output);
  if (failed) {
    if (!status.ok()) LogFailure("closing sequences failed", status, {{"step", step.number()}});
    return;
  }
  if (!status.ok()) {
    LogFailure("step failed", status, {{"step", step.number()}});
    Fail(work, status, output.failed_sequence);
    return;
  }
  work.message.clear_activations();
  for (std::string& activation : output.activations) {
    *work.message.add_activations() = std::move(activation);
  }
  work.outputs = std::move(output.outputs);
}

// RunStep, with an entry in the books.
void CountStep(Executor& executor, Work& work, WorkerMetrics& metrics) {
  using Clock = std::chrono::steady_clock;
  const auto begin = Clock::now();
  StepBooks books;
  const bool failed_before = work.message.has_failure();
  for (const v1::Span& span : work.message.step().spans())
    books.rows += static_cast<std::uint64_t>(span.ids_size());
  books.bytes_in = Bytes(work.message.activations());
  RunStep(executor, work);
  books.bytes_out = Bytes(work.message.activations());
  books.failed = work.message.has_failure() && !failed_before;
  books.pages_in_use = executor.PagesInUse();
  books.wait_seconds = std::chrono::duration<double>(begin - work.arrived).count();
  books.compute_seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  metrics.StepDone(books);
}

}  // namespace

Result<Shard> BuildShard(const v1::LoadRequest& request, const std::shared_ptr<Group>& group,
                         const ShardOptions& options, WeightStore* store) {
  StoredWeights weights(store);
  ASSIGN_OR_RETURN(auto made, Executor::Create(request.program(), request.limits(),
                                               {.threads = options.threads,
                                                .isa = options.isa,
                                                .memory_limit = options.memory_limit,
                                                .peers = group.get()},
                                               weights));
  // Shared, because a function object is copied.
  const std::shared_ptr<Executor> executor = std::move(made);
  Shard shard;
  shard.compute = [executor, group, metrics = options.metrics](Work& work) {
    if (group != nullptr && group->leads()) group->PassOn(work.message);
    metrics == nullptr ? RunStep(*executor, work) : CountStep(*executor, work, *metrics);
  };
  shard.memory = executor->MemoryUse();
  shard.variants = executor->Variants();
  shard.weight_bytes = weights.copied_bytes();
  return shard;
}

}  // namespace bramble::worker
