#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "bramble/v1/program.pb.h"
#include "common/status.h"
#include "coordinator/plan/plan.h"
#include "proto/program/slice.h"

namespace bramble::coordinator {

// The best plan in which at least `fewest` of the devices (2 or more) share every block by slices:
// all meet several times a layer, so one row is made faster than any of them could make it alone.
// The fastest `fewest` are tried, then one more, and so on; each takes a share by its speed, and
// less where its memory is too small. ResourceExhausted, with the arithmetic of the nearest try, if
// none fits; Unimplemented if the program has nothing to share, or there is only one device.
Result<Plan> PlanSlices(const v1::Program& program, const std::vector<Device>& devices,
                        const PlanLimits& limits, std::size_t fewest = 2);

// How the stages of such a plan (all of it, or a group of it) share their blocks.
program::SliceOptions SliceOptionsOf(const std::vector<PlannedStage>& members,
                                     const PlanLimits& limits);

}  // namespace bramble::coordinator
