#pragma once

#include <cstdint>
#include <memory>

#include "worker/exec/binder.h"
#include "worker/exec/task.h"

namespace bramble::worker {

// A linear: items are panels of 16 outputs, for pieces of the rows that fit a cache.
std::unique_ptr<Task> BindLinear(const Binder& binder, const program::Node& node);

// An attention: items are (query heads that share a key-value head, row). `quantize`: index of the
// node that quantizes its output on the same level, which each item then does for its part;
// program::kNone if there is none.
std::unique_ptr<Task> BindAttention(const Binder& binder, const program::Node& node,
                                    std::uint32_t quantize);

}  // namespace bramble::worker
