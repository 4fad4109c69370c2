#include "coordinator/plan/slices.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <string>
#include <utility>

#include "coordinator/plan/costs.h"
#include "coordinator/plan/summary.h"
#include "coordinator/plan/words.h"
#include "proto/program/limits.h"
#include "proto/program/memory.h"

namespace bramble::coordinator {
namespace {

// Shares are whole numbers; the largest is about this.
constexpr double kFullShare = 1000;
// A member over its memory gives up some of its share so many times before the try is given up.
constexpr int kMostTries = 12;

// What a part is to the planner: any name that differs from other parts'.
Result<std::string> NameRows(const v1::Weight& weight, std::uint64_t first, std::uint64_t count) {
  std::string name = weight.sha256();
  name.append("/").append(std::to_string(first)).append("/").append(std::to_string(count));
  name.resize(program::kHashBytes, '/');
  return name;
}

v1::Limits StepLimitsOf(const PlanLimits& limits, std::uint64_t pages) {
  v1::Limits step;
  step.set_max_rows(limits.max_rows);
  step.set_max_outputs(limits.max_outputs);
  step.set_max_sequences(limits.max_sequences);
  step.set_page_positions(limits.page_positions);
  step.set_pages(static_cast<std::uint32_t>(pages));
  return step;
}

// Seconds of one decoded row of a whole program on a device.
double RowSecondsOf(const v1::Program& program, const Device& device, const PlanLimits& limits) {
  const Costs costs({Summarize(program, limits), {device}, limits, Objective::kLatency});
  return costs.RowSeconds(0, 0, costs.blocks());
}

// What the members wait for each other: the slowest link at every meeting.
double MeetingSeconds(const v1::Program& slice, const std::vector<Device>& devices,
                      const PlanLimits& limits) {
  double hop = 0;
  for (const Device& device : devices) hop = std::max(hop, device.hop_seconds);
  double seconds = 0;
  for (const v1::Block& block : slice.blocks()) {
    for (const v1::Operation& op : block.operations()) {
      if (!op.has_meet()) continue;
      const v1::Meet& meet = op.meet();
      const double columns = std::accumulate(meet.columns().begin(), meet.columns().end(), 0.0);
      const double bytes = columns * (meet.form() == v1::INPUT_FORM_A8_32 ? 1.5 : 4);
      seconds += hop + bytes / limits.link_bytes_per_second;
    }
  }
  return seconds;
}

// The fastest `devices`, in shares.
class Group {
 public:
  Group(const v1::Program& program, std::vector<Device> devices, const PlanLimits& limits)
      : program_(program), devices_(std::move(devices)), limits_(limits) {
    options_.smallest_product = limits.smallest_product;
    std::vector<double> speeds;
    speeds.reserve(devices_.size());
    for (const Device& device : devices_) {
      speeds.push_back(1 / RowSecondsOf(program, device, limits));
    }
    const double fastest = *std::max_element(speeds.begin(), speeds.end());
    for (const double speed : speeds) {
      options_.shares.push_back(
          std::max(1U, static_cast<std::uint32_t>(kFullShare * speed / fastest)));
    }
  }

  // A plan with so many pages, if one is found.
  Result<Plan> Fit(std::uint64_t pages) {
    Status why;
    for (int i = 0; i < kMostTries; ++i) {
      ASSIGN_OR_RETURN(Plan plan, Describe(pages));
      if (!GiveUpShares(plan, &why)) return plan;
    }
    return why;
  }

 private:
  Result<Plan> Describe(std::uint64_t pages) {
    Plan plan;
    plan.objective = Objective::kLatency;
    plan.limits = StepLimitsOf(limits_, pages);
    for (std::uint32_t member = 0; member < devices_.size(); ++member) {
      ASSIGN_OR_RETURN(const v1::Program slice,
                       program::MakeSlice(program_, options_, member, NameRows));
      const program::MemoryNeed need = program::Memory(slice, plan.limits);
      PlannedStage stage;
      stage.node_id = devices_[member].node_id;
      stage.members = static_cast<std::uint32_t>(devices_.size());
      stage.member = member;
      stage.share = options_.shares[member];
      stage.block_count = static_cast<std::uint32_t>(program_.blocks_size());
      stage.first_name = program_.blocks(0).name();
      stage.last_name = program_.blocks(program_.blocks_size() - 1).name();
      stage.weight_bytes = need.weight_bytes;
      stage.cache_bytes = need.cache_bytes;
      stage.buffer_bytes = need.buffer_bytes;
      stage.fixed_bytes = limits_.fixed_bytes;
      stage.memory_limit_bytes = devices_[member].memory_limit_bytes;
      stage.row_seconds = RowSecondsOf(slice, devices_[member], limits_);
      stage.hop_seconds = MeetingSeconds(slice, devices_, limits_);
      plan.row_seconds = std::max(plan.row_seconds, stage.row_seconds + stage.hop_seconds);
      plan.stages.push_back(std::move(stage));
    }
    plan.slowest_stage_seconds = plan.row_seconds;
    return plan;
  }

  // True if a member needs more memory than it has: its share is smaller now, or `why` is final.
  bool GiveUpShares(const Plan& plan, Status* why) {
    bool over = false;
    for (std::size_t i = 0; i < plan.stages.size(); ++i) {
      const PlannedStage& stage = plan.stages[i];
      if (stage.needed_bytes() <= stage.memory_limit_bytes) continue;
      over = true;
      *why = Exhausted("shared by ", devices_.size(), " workers, ", StageReason(stage));
      const double part =
          static_cast<double>(stage.memory_limit_bytes) / static_cast<double>(stage.needed_bytes());
      options_.shares[i] = static_cast<std::uint32_t>(0.95 * part * options_.shares[i]);
    }
    const bool any = std::any_of(options_.shares.begin(), options_.shares.end(),
                                 [](std::uint32_t share) { return share > 0; });
    if (!any) std::fill(options_.shares.begin(), options_.shares.end(), 1);
    return over;
  }

  const v1::Program& program_;
  const std::vector<Device> devices_;
  const PlanLimits& limits_;
  program::SliceOptions options_;
};

void AddReasons(const PlanLimits& limits, std::size_t devices, std::uint64_t least, Plan* plan) {
  const PlannedStage& first = plan->stages.front();
  plan->reasons.push_back("slices: " + std::to_string(plan->stages.size()) +
                          " workers share every block; " + SecondsText(plan->row_seconds) +
                          " a row, " + SecondsText(first.hop_seconds) +
                          " of them to meet each other");
  if (plan->stages.size() < devices) {
    plan->reasons.push_back(std::to_string(devices - plan->stages.size()) +
                            " slower workers would hold up the others");
  }
  plan->reasons.push_back(
      std::to_string(plan->limits.pages()) + " pages of " + std::to_string(limits.page_positions) +
      " positions: room for " +
      NumberText(static_cast<double>(plan->limits.pages()) / static_cast<double>(least)) +
      " sequences of " + std::to_string(least * limits.page_positions));
}

}  // namespace

program::SliceOptions SliceOptionsOf(const std::vector<PlannedStage>& members,
                                     const PlanLimits& limits) {
  program::SliceOptions options;
  options.smallest_product = limits.smallest_product;
  for (const PlannedStage& member : members) options.shares.push_back(member.share);
  return options;
}

Result<Plan> PlanSlices(const v1::Program& program, const std::vector<Device>& devices,
                        const PlanLimits& limits, std::size_t fewest) {
  if (devices.size() < 2) return Unimplemented("slices need two workers at least");
  std::vector<std::pair<double, const Device*>> by_speed;
  by_speed.reserve(devices.size());
  for (const Device& device : devices) {
    by_speed.emplace_back(RowSecondsOf(program, device, limits), &device);
  }
  std::stable_sort(by_speed.begin(), by_speed.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  const std::uint64_t least =
      (PlannedContext(limits, program.context_length()) + limits.page_positions - 1) /
      limits.page_positions;
  std::optional<Plan> best;
  Status why;
  std::vector<Device> group = {*by_speed.front().second};
  for (std::size_t i = 1; i < by_speed.size() && group.size() < program::kMaxMembers; ++i) {
    group.push_back(*by_speed[i].second);
    if (group.size() < std::min<std::size_t>(fewest, program::kMaxMembers)) continue;
    Result<Plan> plan = Group(program, group, limits).Fit(least * limits.wanted_sequences);
    if (!plan.ok()) plan = Group(program, group, limits).Fit(least);
    if (!plan.ok()) {
      why = plan.status();
    } else if (!best || plan->row_seconds < best->row_seconds) {
      best = *std::move(plan);
    }
  }
  if (!best) return why;
  if (best->stages.front().hop_seconds == 0) {
    return Unimplemented("model '", program.name(),
                         "' has nothing that is worth sharing by slices");
  }
  AddReasons(limits, devices.size(), least, &*best);
  return *std::move(best);
}

}  // namespace bramble::coordinator
