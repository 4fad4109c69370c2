#include "coordinator/plan/summary.h"

#include <algorithm>
#include <string>
#include <utility>

#include "coordinator/plan/slices.h"
#include "coordinator/plan/words.h"
#include "proto/program/cost.h"
#include "proto/program/held.h"
#include "proto/program/limits.h"
#include "proto/program/memory.h"
#include "proto/program/shard.h"
#include "proto/program/traits.h"

namespace bramble::coordinator {
namespace {

v1::Limits StepLimits(const PlanLimits& limits, std::uint32_t pages) {
  v1::Limits step;
  step.set_max_rows(limits.max_rows);
  step.set_max_outputs(limits.max_outputs);
  step.set_max_sequences(limits.max_sequences);
  step.set_page_positions(limits.page_positions);
  step.set_pages(pages);
  return step;
}

// What the plan takes a stage to need is close: buffers of several blocks together differ from the
// largest single one's, and a worker's pages are aligned as a whole. Replaces it by the worker's
// own count; returns how much that is over the limit.
std::uint64_t CountExactly(const v1::Program& program, const v1::Limits& limits,
                           PlannedStage& stage) {
  const program::MemoryNeed need =
      program::Memory(program::ExtractShard(program, stage.first_block, stage.block_count), limits);
  stage.weight_bytes = need.weight_bytes;
  stage.cache_bytes = need.cache_bytes;
  stage.buffer_bytes = need.buffer_bytes;
  const std::uint64_t needed = stage.needed_bytes();
  return needed > stage.memory_limit_bytes ? needed - stage.memory_limit_bytes : 0;
}

// A step must hold a whole sequence, where the program takes none in parts, or a whole source.
PlanLimits LimitsFor(const v1::Program& program, PlanLimits limits) {
  const program::Traits traits = program::TraitsOf(program);
  if (!traits.whole_sequences && !traits.source) return limits;
  const std::uint32_t context = PlannedContext(limits, program.context_length());
  limits.max_rows = std::max(limits.max_rows, std::min(context, program::kMaxStepRows));
  return limits;
}

// Consecutive blocks on each worker.
Result<Plan> PlanPipeline(const v1::Program& program, const std::vector<Device>& devices,
                          const PlanLimits& limits, Objective objective) {
  PlanRequest request{Summarize(program, limits), devices, limits, objective};
  for (;;) {
    ASSIGN_OR_RETURN(Plan plan, MakePlan(request));
    std::uint64_t over = 0;
    for (PlannedStage& stage : plan.stages) {
      over = std::max(over, CountExactly(program, plan.limits, stage));
    }
    if (over == 0) return plan;
    // Rare, and each round leaves the workers less to give: it ends with a plan or a refusal.
    for (BlockSummary& block : request.model.blocks) block.buffer_bytes += over;
  }
}

}  // namespace

ModelSummary Summarize(const v1::Program& program, const PlanLimits& limits) {
  ModelSummary model;
  model.name = program.name();
  model.context_length = program.context_length();
  const std::vector<program::BlockCost> costs = program::BlockCosts(program);
  const v1::Limits one_page = StepLimits(limits, 1);
  for (std::uint32_t b = 0; b < costs.size(); ++b) {
    const program::BlockCost& cost = costs[b];
    BlockSummary block;
    block.name = cost.name;
    for (const program::HeldWeight& held : program::HoldWeights(program, b, 1).items) {
      block.weights.push_back({std::to_string(held.weight), program::HeldBytes(program, held)});
    }
    block.read_bytes = cost.read_bytes;
    block.operations_a_row = 2 * static_cast<double>(cost.token_multiplies);
    const v1::Program shard = program::ExtractShard(program, b, 1);
    const program::MemoryNeed need = program::Memory(shard, one_page);
    // States are there once, whatever the pages: they count as weights do.
    const std::uint64_t states = program::StateBytes(shard, one_page);
    if (states > 0) block.weights.push_back({"states of block " + std::to_string(b), states});
    block.cache_bytes_a_page = need.cache_bytes - states;
    block.buffer_bytes = need.buffer_bytes;
    block.output_bytes_a_row = cost.crossing_bytes_per_token;
    model.blocks.push_back(std::move(block));
  }
  return model;
}

Result<Plan> PlanProgram(const v1::Program& program, const std::vector<Device>& devices,
                         const PlanLimits& wanted, Objective objective, Sharding sharding) {
  const PlanLimits limits = LimitsFor(program, wanted);
  // One worker alone has nobody to share with.
  if (sharding == Sharding::kSlices && devices.size() > 1) {
    return PlanSlices(program, devices, limits, devices.size());
  }
  Result<Plan> pipeline = PlanPipeline(program, devices, limits, objective);
  if (sharding == Sharding::kPipeline || objective == Objective::kThroughput) return pipeline;
  Result<Plan> slices = PlanSlices(program, devices, limits);
  if (!slices.ok()) return pipeline;
  if (!pipeline.ok()) return slices;
  Plan& best = slices->row_seconds < pipeline->row_seconds ? *slices : *pipeline;
  const Plan& other = &best == &*slices ? *pipeline : *slices;
  best.reasons.push_back(std::string(&best == &*slices ? "a pipeline" : "slices") + " would take " +
                         SecondsText(other.row_seconds) + " a row");
  return std::move(best);
}

}  // namespace bramble::coordinator
