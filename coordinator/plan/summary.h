#pragma once

#include <vector>

#include "bramble/v1/program.pb.h"
#include "common/status.h"
#include "coordinator/plan/plan.h"

namespace bramble::coordinator {

// A program as the planner sees it. Requires a checked program and limits of which none is 0.
ModelSummary Summarize(const v1::Program& program, const PlanLimits& limits);

// The best plan for a program: the figures of each stage are those that its worker will count
// itself (program::Memory of its part), and no stage exceeds its worker's limit. kAuto: with
// kLatency slices among those whom it makes faster, else a pipeline; kSlices: among all. Requires a
// checked program.
Result<Plan> PlanProgram(const v1::Program& program, const std::vector<Device>& devices,
                         const PlanLimits& limits, Objective objective, Sharding sharding);

}  // namespace bramble::coordinator
