#include "coordinator/plan/refusal.h"

#include <algorithm>
#include <sstream>
#include <string>

#include "coordinator/plan/words.h"

namespace bramble::coordinator {
namespace {

struct Room {
  std::uint64_t together = 0;       // for weights and caches, of all workers
  std::uint64_t largest_limit = 0;  // of one worker
};

// A line for each worker: its limit, what is spent on itself, what is left.
Room DescribeWorkers(const PlanRequest& request, const Costs& costs, std::ostream& text) {
  // The smallest buffer that some block needs: no worker can do with less.
  std::uint64_t buffer = costs.BufferBytes(0, 1);
  for (std::size_t b = 1; b < costs.blocks(); ++b) {
    buffer = std::min(buffer, costs.BufferBytes(b, b + 1));
  }
  const std::uint64_t spent = request.limits.fixed_bytes + buffer;
  Room room;
  for (const Device& device : request.devices) {
    const std::uint64_t limit = device.memory_limit_bytes;
    const std::uint64_t left = limit > spent ? limit - spent : 0;
    text << "\n  worker '" << device.node_id << "': limit " << BytesText(limit) << ", less "
         << BytesText(request.limits.fixed_bytes) << " for itself and at least "
         << BytesText(buffer) << " of buffers: " << BytesText(left) << " for weights and caches";
    room.together += left;
    room.largest_limit = std::max(room.largest_limit, limit);
  }
  return room;
}

// The block that needs most.
std::size_t LargestBlock(const Costs& costs, std::uint64_t pages) {
  std::size_t largest = 0;
  for (std::size_t b = 1; b < costs.blocks(); ++b) {
    if (costs.Needed(b, b + 1, pages) > costs.Needed(largest, largest + 1, pages)) largest = b;
  }
  return largest;
}

}  // namespace

Status DoesNotFit(const PlanRequest& request, const Costs& costs, std::uint64_t pages) {
  const std::size_t n = costs.blocks();
  const std::uint64_t weights = costs.WeightBytes(0, n);
  const std::uint64_t caches = costs.PageBytes(0, n) * pages;
  std::ostringstream text;
  text << "model '" << request.model.name << "' does not fit into the memory of "
       << request.devices.size() << (request.devices.size() == 1 ? " worker" : " workers") << ":"
       << "\n  the model: " << BytesText(weights) << " of weights + " << BytesText(caches)
       << " of caches for one sequence of " << pages * request.limits.page_positions
       << " positions = " << BytesText(weights + caches);
  const Room room = DescribeWorkers(request, costs, text);
  const std::size_t block = LargestBlock(costs, pages);
  const std::uint64_t block_needs =
      costs.WeightBytes(block, block + 1) + costs.PageBytes(block, block + 1) * pages;
  if (room.together < weights + caches) {
    text << "\n  together " << BytesText(room.together) << ": "
         << BytesText(weights + caches - room.together) << " too little";
  } else if (costs.Needed(block, block + 1, pages) > room.largest_limit) {
    text << "\n  block '" << request.model.blocks[block].name << "' alone takes "
         << BytesText(block_needs) << " and " << BytesText(costs.BufferBytes(block, block + 1))
         << " of buffers: more than any worker has";
  } else {
    text << "\n  together " << BytesText(room.together)
         << " would do, but whole blocks (the largest takes " << BytesText(block_needs)
         << ") cannot be cut to fill every worker, and what two workers share is held twice";
  }
  text << "\n  add a worker, raise --memory, or lower --context";
  return {Code::kResourceExhausted, std::move(text).str()};
}

}  // namespace bramble::coordinator
