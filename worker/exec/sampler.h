#pragma once

#include <cstdint>
#include <memory>

#include "worker/exec/binder.h"
#include "worker/exec/task.h"

namespace bramble::worker {

// The sample that ends a program: items are the samplers, each of which has scratch of its own and
// takes every sampler_count-th output. Fills StepContext::results. `index`: of the node.
std::unique_ptr<Task> BindSample(const Binder& binder, std::uint32_t index);

}  // namespace bramble::worker
