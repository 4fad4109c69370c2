#pragma once

#include <cstdint>
#include <string>

#include "bramble/v1/cluster.pb.h"
#include "kernels/cpu.h"

namespace bramble::worker {

struct MeasureOptions {
  int threads = 1;
  kernels::Features features = kernels::kNothing;  // that kernels may use
  std::uint64_t memory_limit = 0;                  // an eighth of it is used at most
};

// How fast this machine reads memory, and multiplies with each encoding of weights, with all
// threads: what the planner reckons with. Takes under a second. On the compute thread.
v1::MeasuredSpeed Measure(const MeasureOptions& options);

// The same, or what `path` has kept from an earlier run on the same CPU with the same version,
// threads and features. What can't be read or written is measured again.
v1::MeasuredSpeed MeasureOnce(const MeasureOptions& options, const std::string& path);

}  // namespace bramble::worker
