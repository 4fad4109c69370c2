#pragma once

#include <memory>
#include <vector>

#include "worker/exec/binder.h"
#include "worker/exec/task.h"

namespace bramble::worker {

// All meetings of one level: gives what this member brings to each of them, then waits for the
// others. Requires Binder.peers.
std::unique_ptr<Task> BindMeetings(const Binder& binder, const std::vector<program::Node>& nodes);

}  // namespace bramble::worker
