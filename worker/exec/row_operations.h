#pragma once

#include <cstdint>
#include <memory>

#include "bramble/v1/program.pb.h"
#include "worker/exec/binder.h"
#include "worker/exec/task.h"

namespace bramble::worker {

// Binds a row-wise node of the schedule (program::IsRowWise, and the nodes that the schedule adds)
// to its buffers, weights and kernels.
std::unique_ptr<RowOperation> BindRowOperation(const Binder& binder, std::uint32_t node);

}  // namespace bramble::worker
