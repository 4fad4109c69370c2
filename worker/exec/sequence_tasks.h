#pragma once

#include <memory>

#include "worker/exec/binder.h"
#include "worker/exec/task.h"

namespace bramble::worker {

// Operations that go along the rows of a sequence, one after the other; shared out by sequence and
// by columns, which do not need each other.
std::unique_ptr<Task> BindPool(const Binder& binder, const program::Node& node);
std::unique_ptr<Task> BindConvolution(const Binder& binder, const program::Node& node);
std::unique_ptr<Task> BindRecurrence(const Binder& binder, const program::Node& node);

}  // namespace bramble::worker
