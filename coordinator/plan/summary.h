#pragma once

#include <vector>

#include "bramble/v1/program.pb.h"
#include "common/status.h"
#include "coordinator/plan/plan.h"

namespace bramble::coordinator {

// A program as the planner sees it. Requires a checked program and limits of which none is 0.
ModelSummary Summarize(const v1::Program& program, const PlanLimits& limits);

// MakePlan for a program: the figures of each stage are those that its worker will count itself
// (program::Memory of its shard), and no stage exceeds its worker's limit. Requires a checked
// program.
Result<Plan> PlanProgram(const v1::Program& program, std::vector<Device> devices,
                         const PlanLimits& limits, Objective objective);

}  // namespace bramble::coordinator
