#pragma once

#include <cstdint>
#include <vector>

#include "bramble/v1/run.pb.h"
#include "proto/program/schedule.h"

namespace bramble::program {

// Where each tensor of a schedule lies in the arena. Two tensors share bytes only if no level has a
// use for both.
struct BufferPlan {
  std::uint64_t bytes = 0;             // a multiple of 64
  std::vector<std::uint64_t> offsets;  // [tensor], multiples of 64
};

// Requires checked limits. Best fit in the order of levels: n log n. Pure; any thread.
BufferPlan PlanBuffers(const Schedule& schedule, const v1::Limits& limits);

// The rows for which room is made.
std::uint64_t MostRows(v1::RowKind rows, const v1::Limits& limits);

}  // namespace bramble::program
