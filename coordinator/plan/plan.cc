#include "coordinator/plan/plan.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <sstream>

#include "coordinator/plan/costs.h"
#include "coordinator/plan/partition.h"
#include "coordinator/plan/refusal.h"
#include "coordinator/plan/words.h"
#include "proto/program/limits.h"

namespace bramble::coordinator {
namespace {

constexpr std::uint32_t kDefaultContext = 4096;
// Room for all wanted pages is worth this much of the speed, and no more.
constexpr double kPriceOfPages = 1.1;

struct Pages {
  std::uint64_t least = 0;  // for one sequence of the configured context
  std::uint64_t wanted = 0;
};

Status CheckRequest(const PlanRequest& request) {
  if (request.model.blocks.empty())
    return Invalid("model '", request.model.name, "' has no blocks");
  if (request.model.blocks.size() > std::size_t{program::kMaxBlocks}) {
    return Invalid("model '", request.model.name, "' has ", request.model.blocks.size(),
                   " blocks; at most ", program::kMaxBlocks, " can be planned");
  }
  if (request.devices.empty()) {
    return Exhausted("model '", request.model.name, "' has no worker: none has joined");
  }
  std::set<std::string> nodes;
  for (const Device& device : request.devices) {
    if (!nodes.insert(device.node_id).second) {
      return Invalid("worker '", device.node_id, "' is listed twice");
    }
  }
  const PlanLimits& limits = request.limits;
  if (limits.page_positions == 0 || limits.max_rows == 0 || limits.max_outputs == 0 ||
      limits.max_sequences == 0 || limits.wanted_sequences == 0) {
    return Invalid("page positions, rows, outputs and sequences must each be at least 1");
  }
  if (!(limits.link_bytes_per_second > 0))
    return Invalid("a link must carry more than 0 bytes a second");
  if (limits.context > request.model.context_length) {
    return Invalid("a context of ", limits.context, " was asked for; model '", request.model.name,
                   "' was made for ", request.model.context_length);
  }
  return {};
}

Pages CountPages(const PlanRequest& request) {
  const PlanLimits& limits = request.limits;
  const std::uint32_t context = PlannedContext(limits, request.model.context_length);
  Pages pages;
  pages.least = (context + limits.page_positions - 1) / limits.page_positions;
  pages.wanted = std::min<std::uint64_t>(pages.least * limits.wanted_sequences, program::kMaxPages);
  return pages;
}

// As many pages as every stage of the partition has memory for.
std::uint64_t PagesThatFit(const Costs& costs, const Partition& partition, const Pages& pages) {
  std::uint64_t fit = pages.wanted;
  for (const Placement& stage : partition.stages) {
    const std::size_t end = stage.first + stage.count;
    const std::uint64_t page = costs.PageBytes(stage.first, end);
    if (page == 0) continue;
    fit = std::min(fit, (costs.limit(stage.device) - costs.Needed(stage.first, end, 0)) / page);
  }
  return fit;
}

PlannedStage Describe(const PlanRequest& request, const Costs& costs, const Placement& placement,
                      std::uint64_t pages) {
  const std::size_t first = placement.first;
  const std::size_t end = first + placement.count;
  const Device& device = request.devices[placement.device];
  PlannedStage stage;
  stage.node_id = device.node_id;
  stage.first_block = static_cast<std::uint32_t>(first);
  stage.block_count = static_cast<std::uint32_t>(placement.count);
  stage.first_name = request.model.blocks[first].name;
  stage.last_name = request.model.blocks[end - 1].name;
  stage.weight_bytes = costs.WeightBytes(first, end);
  stage.cache_bytes = costs.PageBytes(first, end) * pages;
  stage.buffer_bytes = costs.BufferBytes(first, end);
  stage.fixed_bytes = request.limits.fixed_bytes;
  stage.memory_limit_bytes = device.memory_limit_bytes;
  stage.row_seconds = costs.RowSeconds(placement.device, first, end);
  stage.hop_seconds = costs.HopSeconds(placement.device, end);
  const double prefill = costs.PrefillSeconds(placement.device, first, end);
  stage.prefill_rows_per_second = prefill > 0 ? 1 / prefill : 0;
  return stage;
}

std::string ReasonOfSpeed(const Plan& plan) {
  const auto slowest = std::max_element(
      plan.stages.begin(), plan.stages.end(),
      [](const PlannedStage& a, const PlannedStage& b) { return a.row_seconds < b.row_seconds; });
  std::ostringstream text;
  if (plan.objective == Objective::kThroughput) {
    text << "throughput: the slowest stage decides, " << slowest->node_id << " with "
         << SecondsText(slowest->row_seconds) << " a row";
  } else {
    text << "latency: the sum of all stages and hops decides, " << SecondsText(plan.row_seconds)
         << " a row";
  }
  return std::move(text).str();
}

std::string ReasonOfSearch(const Partition& partition, std::size_t devices) {
  std::ostringstream text;
  if (partition.exact) {
    text << "every order of " << devices << (devices == 1 ? " worker" : " workers")
         << " and every cut was searched: none is faster";
    return std::move(text).str();
  }
  text << devices << " workers have too many orders to try them all";
  if (partition.lower_bound > 0) {
    text << "; this one is at most "
         << NumberText(100 * (partition.cost / partition.lower_bound - 1))
         << " % slower than the best could be";
  }
  return std::move(text).str();
}

std::string ReasonOfPages(const PlanRequest& request, std::uint64_t pages, const Pages& wanted) {
  std::ostringstream text;
  text << pages << " pages of " << request.limits.page_positions << " positions: ";
  if (pages >= wanted.wanted) {
    text << "room for " << request.limits.wanted_sequences << " sequences of "
         << wanted.least * request.limits.page_positions;
  } else {
    text << "memory leaves no room for the " << wanted.wanted << " that were wanted ("
         << request.limits.wanted_sequences << " sequences of "
         << wanted.least * request.limits.page_positions << ")";
  }
  return std::move(text).str();
}

void AddReasons(const PlanRequest& request, const Partition& partition, const Pages& pages,
                Plan& plan) {
  plan.reasons.push_back(ReasonOfSpeed(plan));
  std::set<std::string> used;
  for (const PlannedStage& stage : plan.stages) used.insert(stage.node_id);
  for (const Device& device : request.devices) {
    if (used.count(device.node_id) != 0) continue;
    plan.reasons.push_back(device.node_id + " is not used: no plan with it that fits is faster");
  }
  plan.reasons.push_back(ReasonOfSearch(partition, request.devices.size()));
  plan.reasons.push_back(ReasonOfPages(request, plan.limits.pages(), pages));
}

Plan Assemble(const PlanRequest& request, const Costs& costs, const Partition& partition,
              const Pages& pages) {
  const std::uint64_t count = PagesThatFit(costs, partition, pages);
  Plan plan;
  plan.model = request.model.name;
  plan.objective = request.objective;
  plan.limits.set_max_rows(request.limits.max_rows);
  plan.limits.set_max_outputs(request.limits.max_outputs);
  plan.limits.set_max_sequences(request.limits.max_sequences);
  plan.limits.set_page_positions(request.limits.page_positions);
  plan.limits.set_pages(static_cast<std::uint32_t>(count));
  for (const Placement& placement : partition.stages) {
    plan.stages.push_back(Describe(request, costs, placement, count));
    plan.slowest_stage_seconds =
        std::max(plan.slowest_stage_seconds, plan.stages.back().row_seconds);
    plan.row_seconds += plan.stages.back().row_seconds + plan.stages.back().hop_seconds;
  }
  AddReasons(request, partition, pages, plan);
  return plan;
}

}  // namespace

std::uint32_t PlannedContext(const PlanLimits& limits, std::uint32_t model_context) {
  const std::uint32_t context =
      limits.context != 0 ? limits.context : std::min(model_context, kDefaultContext);
  return std::max(context, 1U);
}

Result<Plan> MakePlan(const PlanRequest& request) {
  RETURN_IF_ERROR(CheckRequest(request));
  const Costs costs(request);
  const Pages pages = CountPages(request);
  std::optional<Partition> partition = BestPartition(costs, pages.least, request.objective);
  if (!partition) return DoesNotFit(request, costs, pages.least);
  if (PagesThatFit(costs, *partition, pages) < pages.wanted) {
    std::optional<Partition> roomy = BestPartition(costs, pages.wanted, request.objective);
    if (roomy && roomy->cost <= partition->cost * kPriceOfPages) partition = std::move(roomy);
  }
  return Assemble(request, costs, *partition, pages);
}

}  // namespace bramble::coordinator
