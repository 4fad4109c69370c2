#pragma once

#include "common/status.h"
#include "coordinator/serve/generator.h"
#include "coordinator/serve/serve_plan.h"

namespace bramble::coordinator {

// A model that reads a source takes the prompt as one, unless the request says more.
void CompleteRequest(GenerateRequest& request, const ServePlan& plan);

// InvalidArgument, naming the field and the limit, for a request that no worker could answer under
// this plan. Everything that a worker would refuse is refused here: there it would end its
// neighbours' step too.
Status CheckRequest(const GenerateRequest& request, const ServePlan& plan);

}  // namespace bramble::coordinator
