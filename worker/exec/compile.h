#pragma once

#include <memory>
#include <vector>

#include "worker/exec/binder.h"
#include "worker/exec/task.h"

namespace bramble::worker {

// What may run at the same time; a level begins when all of the one before has been done.
struct Level {
  std::vector<std::unique_ptr<Task>> tasks;
};

// Binds every node of the schedule, level by level. The row operations of a level and row kind
// become one task; linears that share an input (q, k and v; gate and up) are tasks of one level,
// whose panels the threads share out together.
std::vector<Level> Compile(const Binder& binder);

}  // namespace bramble::worker
