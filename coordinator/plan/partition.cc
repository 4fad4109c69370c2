#include "coordinator/plan/partition.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <numeric>

#include "common/check.h"

namespace bramble::coordinator {
namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();
// Sums of the same terms in another order may differ in the last bits: within this they are equal.
constexpr double kEqual = 1 + 1e-9;
// With more devices than this the swaps would take longer than the model's loading.
constexpr std::size_t kSwapDevices = 24;

double Join(Objective objective, double before, double stage) {
  return objective == Objective::kThroughput ? std::max(before, stage) : before + stage;
}

// How a state was reached: its last stage.
struct Step {
  double cost = kNever;
  std::uint32_t stages = 0;
  std::size_t first = 0;
  std::size_t device = 0;
};

bool Better(const Step& a, const Step& b) {
  if (a.cost * kEqual < b.cost) return true;
  return a.cost <= b.cost * kEqual && a.stages < b.stages;
}

// A bound from the dual of the fractional problem: for any shares y of the devices that sum to 1,
// the slowest stage takes at least the sum over blocks of min over devices of y * cost. Shares in
// proportion to the devices' speeds over the whole model make it tight where speeds are in
// proportion for every block.
double LowerBound(const Costs& costs, Objective objective) {
  std::vector<double> share(costs.devices(), 1);
  if (objective == Objective::kThroughput) {
    double total = 0;
    for (std::size_t d = 0; d < costs.devices(); ++d) {
      const double whole = costs.RowSeconds(d, 0, costs.blocks());
      share[d] = whole > 0 ? 1 / whole : 0;
      total += share[d];
    }
    if (total == 0) return 0;
    for (double& s : share) s /= total;
  }
  double bound = 0;
  for (std::size_t block = 0; block < costs.blocks(); ++block) {
    double least = kNever;
    for (std::size_t d = 0; d < costs.devices(); ++d) {
      least = std::min(least, share[d] * costs.RowSeconds(d, block, block + 1));
    }
    bound += least;
  }
  return bound;
}

}  // namespace

double StageCost(const Costs& costs, Objective objective, std::size_t device, std::size_t first,
                 std::size_t end) {
  const double row = costs.RowSeconds(device, first, end);
  return objective == Objective::kThroughput ? row : row + costs.HopSeconds(device, end);
}

std::optional<Partition> BestOfAllOrders(const Costs& costs, std::uint64_t pages,
                                         Objective objective) {
  const std::size_t n = costs.blocks();
  const std::size_t devices = costs.devices();
  CHECK(devices <= 20);
  const std::size_t subsets = std::size_t{1} << devices;
  // best[subset][end]: blocks [0, end) on exactly the devices of the subset.
  std::vector<Step> best(subsets * (n + 1));
  best[0].cost = 0;
  for (std::size_t subset = 0; subset + 1 < subsets; ++subset) {
    for (std::size_t d = 0; d < devices; ++d) {
      if ((subset >> d & 1) != 0) continue;
      const std::size_t with = subset | std::size_t{1} << d;
      for (std::size_t first = 0; first < n; ++first) {
        const Step& from = best[subset * (n + 1) + first];
        if (from.cost == kNever) continue;
        for (std::size_t end = first + 1; end <= n; ++end) {
          if (costs.Needed(first, end, pages) > costs.limit(d)) break;
          const double cost =
              Join(objective, from.cost, StageCost(costs, objective, d, first, end));
          Step& to = best[with * (n + 1) + end];
          if (cost < to.cost) to = {cost, from.stages + 1, first, d};
        }
      }
    }
  }
  std::size_t chosen = 0;
  for (std::size_t subset = 1; subset < subsets; ++subset) {
    if (Better(best[subset * (n + 1) + n], best[chosen * (n + 1) + n])) chosen = subset;
  }
  if (best[chosen * (n + 1) + n].cost == kNever) return std::nullopt;

  Partition partition;
  partition.cost = best[chosen * (n + 1) + n].cost;
  partition.exact = true;
  for (std::size_t end = n, subset = chosen; end > 0;) {
    const Step& step = best[subset * (n + 1) + end];
    partition.stages.push_back({step.device, step.first, end - step.first});
    end = step.first;
    subset &= ~(std::size_t{1} << step.device);
  }
  std::reverse(partition.stages.begin(), partition.stages.end());
  return partition;
}

namespace {

// One pass of dynamic programming over the order. With `stage_limit` only stages within it count
// and the fewest of them are sought (the cost of a state is its number of stages).
std::optional<Partition> PassInOrder(const Costs& costs, std::uint64_t pages, Objective objective,
                                     const std::vector<std::size_t>& order,
                                     std::optional<double> stage_limit) {
  const std::size_t n = costs.blocks();
  // best[k][end]: blocks [0, end) on some of the first k devices of the order.
  std::vector<std::vector<Step>> best(order.size() + 1, std::vector<Step>(n + 1));
  std::vector<std::vector<bool>> used(order.size() + 1, std::vector<bool>(n + 1, false));
  best[0][0].cost = 0;
  for (std::size_t k = 0; k < order.size(); ++k) {
    const std::size_t d = order[k];
    best[k + 1] = best[k];
    for (std::size_t first = 0; first < n; ++first) {
      const Step& from = best[k][first];
      if (from.cost == kNever) continue;
      for (std::size_t end = first + 1; end <= n; ++end) {
        if (costs.Needed(first, end, pages) > costs.limit(d)) break;
        const double stage = StageCost(costs, objective, d, first, end);
        if (stage_limit && stage > *stage_limit) break;
        const double cost = stage_limit ? from.cost + 1 : Join(objective, from.cost, stage);
        const Step step{cost, from.stages + 1, first, d};
        if (!Better(step, best[k + 1][end])) continue;
        best[k + 1][end] = step;
        used[k + 1][end] = true;
      }
    }
  }
  if (best[order.size()][n].cost == kNever) return std::nullopt;

  Partition partition;
  std::size_t end = n;
  for (std::size_t k = order.size(); k > 0 && end > 0; --k) {
    if (!used[k][end]) continue;
    const Step& step = best[k][end];
    partition.stages.push_back({step.device, step.first, end - step.first});
    end = step.first;
  }
  std::reverse(partition.stages.begin(), partition.stages.end());
  for (const Placement& stage : partition.stages) {
    partition.cost =
        Join(objective, partition.cost,
             StageCost(costs, objective, stage.device, stage.first, stage.first + stage.count));
  }
  return partition;
}

}  // namespace

std::optional<Partition> BestInOrder(const Costs& costs, std::uint64_t pages, Objective objective,
                                     const std::vector<std::size_t>& order) {
  std::optional<Partition> found = PassInOrder(costs, pages, objective, order, std::nullopt);
  if (!found || objective == Objective::kLatency) return found;
  // Fewest stages is no part of the first pass: a state with a lower maximum so far may have more
  // stages than needed once a slower stage follows. A second pass with the maximum known settles
  // it.
  return PassInOrder(costs, pages, objective, order, found->cost * kEqual);
}

namespace {

std::vector<std::vector<std::size_t>> OrdersToTry(const Costs& costs) {
  std::vector<std::size_t> given(costs.devices());
  std::iota(given.begin(), given.end(), std::size_t{0});
  std::vector<std::size_t> fast = given;
  std::stable_sort(fast.begin(), fast.end(), [&](std::size_t a, std::size_t b) {
    return costs.RowSeconds(a, 0, costs.blocks()) < costs.RowSeconds(b, 0, costs.blocks());
  });
  std::vector<std::size_t> large = given;
  std::stable_sort(large.begin(), large.end(),
                   [&](std::size_t a, std::size_t b) { return costs.limit(a) > costs.limit(b); });
  std::vector<std::vector<std::size_t>> orders{given, fast, large};
  for (std::size_t i = 0; i < 3; ++i) {
    orders.push_back({orders[i].rbegin(), orders[i].rend()});
  }
  return orders;
}

bool Cheaper(const std::optional<Partition>& a, const std::optional<Partition>& b) {
  if (!a || !b) return a.has_value() && !b.has_value();
  if (a->cost * kEqual < b->cost) return true;
  return a->cost <= b->cost * kEqual && a->stages.size() < b->stages.size();
}

// Swaps pairs of devices as long as that helps.
void ImproveBySwaps(const Costs& costs, std::uint64_t pages, Objective objective,
                    std::vector<std::size_t> order, std::optional<Partition>& best) {
  for (bool improved = true; improved;) {
    improved = false;
    for (std::size_t i = 0; i < order.size(); ++i) {
      for (std::size_t j = i + 1; j < order.size(); ++j) {
        std::swap(order[i], order[j]);
        std::optional<Partition> found = BestInOrder(costs, pages, objective, order);
        if (Cheaper(found, best)) {
          best = std::move(found);
          improved = true;
        } else {
          std::swap(order[i], order[j]);
        }
      }
    }
  }
}

}  // namespace

std::optional<Partition> BestPartition(const Costs& costs, std::uint64_t pages,
                                       Objective objective) {
  std::optional<Partition> best;
  if (costs.devices() <= kExactDevices) {
    best = BestOfAllOrders(costs, pages, objective);
  } else {
    std::vector<std::size_t> best_order;
    for (const std::vector<std::size_t>& order : OrdersToTry(costs)) {
      std::optional<Partition> found = BestInOrder(costs, pages, objective, order);
      if (!Cheaper(found, best)) continue;
      best = std::move(found);
      best_order = order;
    }
    if (best && costs.devices() <= kSwapDevices) {
      ImproveBySwaps(costs, pages, objective, best_order, best);
    }
  }
  if (best) best->lower_bound = LowerBound(costs, objective);
  return best;
}

}  // namespace bramble::coordinator
