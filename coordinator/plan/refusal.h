#pragma once

#include <cstdint>

#include "common/status.h"
#include "coordinator/plan/costs.h"
#include "coordinator/plan/plan.h"

namespace bramble::coordinator {

// ResourceExhausted, with the sum: what the model needs with `pages` pages, what each worker has,
// and why no cut works.
Status DoesNotFit(const PlanRequest& request, const Costs& costs, std::uint64_t pages);

}  // namespace bramble::coordinator
