#pragma once

#include <vector>

#include "bramble/v1/program.pb.h"
#include "coordinator/cluster/members.h"
#include "coordinator/plan/plan.h"
#include "coordinator/serve/serve_plan.h"

namespace bramble::coordinator {

// The members that are here and can run every operation of the program, as the planner sees them,
// by node id.
std::vector<Device> UsableDevices(const std::vector<Member>& members, const v1::Program& program);

// Those that are here and can't, a line each with what they lack.
std::vector<std::string> UnusableMembers(const std::vector<Member>& members,
                                         const v1::Program& program);

// False if sequences can't share beginnings: some memory of the program is not in pages, or pages
// hold other keys in longer prompts.
bool SharesPrefixes(const v1::Program& program);

// What the scheduler must know of the program: all but the epoch, the stages and the limits.
ServePlan DescribeProgram(const v1::Program& program);

}  // namespace bramble::coordinator
