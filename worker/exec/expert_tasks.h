#pragma once

#include <cstdint>
#include <memory>

#include "worker/exec/binder.h"
#include "worker/exec/task.h"

namespace bramble::worker {

// The nodes of a mixture of experts (proto/program/schedule.h): kRoute, kSort, kCollect, kExpand,
// and the operation itself. Each expert's matrices are read once a step, for all rows that have
// chosen it.
std::unique_ptr<Task> BindExperts(const Binder& binder, std::uint32_t node);

}  // namespace bramble::worker
