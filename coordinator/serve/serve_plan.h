#pragma once

#include <cstdint>

#include "bramble/v1/run.pb.h"

namespace bramble::coordinator {

// What the scheduler must know of the plan that it serves.
struct ServePlan {
  std::uint64_t epoch = 0;
  std::uint32_t stages = 1;
  v1::Limits limits;
  std::uint32_t context_length = 0;  // prompt and answer together; at most pages * page_positions
  std::uint32_t vocabulary_size = 0;
  // False for programs with memory that is not in pages (states): a sequence must start at 0 there.
  bool share_prefixes = true;
};

// What the scheduler does at this moment.
struct ServeSnapshot {
  std::uint32_t running = 0;  // sequences with a place
  std::uint32_t queued = 0;
  std::uint32_t pages = 0;
  std::uint32_t pages_in_use = 0;  // by running sequences
  std::uint32_t pages_cached = 0;  // kept for prompts that begin alike
  std::uint32_t steps_in_flight = 0;
  std::uint64_t steps = 0;
};

}  // namespace bramble::coordinator
