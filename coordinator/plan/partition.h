#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "coordinator/plan/costs.h"
#include "coordinator/plan/plan.h"

namespace bramble::coordinator {

// Blocks [first, first + count) on one device.
struct Placement {
  std::size_t device = 0;
  std::size_t first = 0;
  std::size_t count = 0;
};

struct Partition {
  std::vector<Placement> stages;  // in the order of blocks; no device twice
  double cost = 0;                // seconds: of the slowest stage, or of the sum
  bool exact = false;             // no order of devices and no cut is better
  double lower_bound = 0;         // no partition costs less, whatever its memory
};

// What one stage contributes: a row's time, and with kLatency its hop too.
double StageCost(const Costs& costs, Objective objective, std::size_t device, std::size_t first,
                 std::size_t end);

// The cheapest cut of all blocks into consecutive runs, each on a device of its own that has the
// memory for it with `pages` pages; among equals, the one with fewest stages. Nothing if there is
// none.
//
// Up to kExactDevices devices every order of devices is searched, by dynamic programming over
// subsets: O(2^devices * devices * blocks^2). Beyond that some orders are tried (devices * blocks^2
// each) and improved by swaps; `lower_bound` then says how far from the best it can be at most, and
// a cut may be missed where memory is very tight.
inline constexpr std::size_t kExactDevices = 8;
std::optional<Partition> BestPartition(const Costs& costs, std::uint64_t pages,
                                       Objective objective);

// The same for devices in this order (some may be left out): exact for the order.
std::optional<Partition> BestInOrder(const Costs& costs, std::uint64_t pages, Objective objective,
                                     const std::vector<std::size_t>& order);

// The same over all orders. Requires at most 20 devices.
std::optional<Partition> BestOfAllOrders(const Costs& costs, std::uint64_t pages,
                                         Objective objective);

}  // namespace bramble::coordinator
