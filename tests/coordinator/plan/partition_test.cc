#include "coordinator/plan/partition.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <random>

#include "tests/coordinator/plan/plan_helpers.h"

namespace bramble::coordinator {
namespace {

struct Best {
  double cost = std::numeric_limits<double>::infinity();
  std::size_t stages = 0;
};

// Tries everything: every order of every subset of the devices, every cut. No cleverness to get
// wrong.
class BruteForce {
 public:
  BruteForce(const PlanRequest& request, const Costs& costs, std::uint64_t pages)
      : request_(request), costs_(costs), pages_(pages), used_(request.devices.size(), false) {}

  Best Search() {
    Extend(0, 0, 0);
    return best_;
  }

 private:
  // The memory of a range, counted afresh from the blocks.
  std::uint64_t Memory(std::size_t first, std::size_t end) const {
    std::map<std::string, std::uint64_t> held;
    std::uint64_t caches = 0;
    std::uint64_t buffer = 0;
    for (std::size_t b = first; b < end; ++b) {
      const BlockSummary& block = request_.model.blocks[b];
      for (const WeightSummary& weight : block.weights) held[weight.content] = weight.bytes;
      caches += block.cache_bytes_a_page * pages_;
      buffer = std::max(buffer, block.buffer_bytes);
    }
    std::uint64_t total = request_.limits.fixed_bytes + caches + buffer;
    for (const auto& [content, bytes] : held) total += bytes;
    return total;
  }

  void Extend(std::size_t first, double cost, std::size_t stages) {
    if (first == costs_.blocks()) {
      const bool better = cost < best_.cost * (1 - 1e-9) ||
                          (cost <= best_.cost * (1 + 1e-9) && stages < best_.stages);
      if (better) best_ = {cost, stages};
      return;
    }
    for (std::size_t d = 0; d < used_.size(); ++d) {
      if (used_[d]) continue;
      used_[d] = true;
      for (std::size_t end = first + 1; end <= costs_.blocks(); ++end) {
        if (Memory(first, end) > request_.devices[d].memory_limit_bytes) break;
        const double stage = StageCost(costs_, request_.objective, d, first, end);
        const double sum =
            request_.objective == Objective::kThroughput ? std::max(cost, stage) : cost + stage;
        Extend(end, sum, stages + 1);
      }
      used_[d] = false;
    }
  }

  const PlanRequest& request_;
  const Costs& costs_;
  std::uint64_t pages_;
  std::vector<bool> used_;
  Best best_;
};

PlanRequest RandomRequest(std::mt19937_64& random, std::size_t blocks, std::size_t devices) {
  const auto below = [&](std::uint64_t n) { return random() % n; };
  PlanRequest request;
  request.model.name = "random";
  request.model.context_length = 64;
  for (std::size_t b = 0; b < blocks; ++b) {
    BlockSummary block;
    block.name = "block." + std::to_string(b);
    for (std::uint64_t w = 0; w <= below(2); ++w) {
      // Few contents, so that blocks share some. Equal content has equal bytes.
      const std::uint64_t content = below(2 * blocks);
      const std::uint64_t bytes = (1 + content % 7) * kMiB;
      block.weights.push_back({std::to_string(content), bytes});
      block.read_bytes[content % 2 == 0 ? v1::ENCODING_Q4_1 : v1::ENCODING_Q8_0] +=
          below(4) == 0 ? 4096 : bytes;
    }
    block.cache_bytes_a_page = below(3) * kMiB / 2;
    block.buffer_bytes = below(3) * kMiB;
    block.output_bytes_a_row = 1024 * below(64);
    request.model.blocks.push_back(block);
  }
  for (std::size_t d = 0; d < devices; ++d) {
    Device device = Worker("worker." + std::to_string(d), 4 + below(30),
                           static_cast<double>(50 + 50 * below(4)));
    device.speeds[v1::ENCODING_Q4_1].decode_bytes_per_second *= static_cast<double>(1 + below(3));
    device.hop_seconds = 0.001 * static_cast<double>(below(20));
    request.devices.push_back(device);
  }
  request.limits.fixed_bytes = below(2) * kMiB;
  request.objective = below(2) == 0 ? Objective::kThroughput : Objective::kLatency;
  return request;
}

// Every stage is what it says it is: blocks in order, no device twice, enough memory.
void ExpectSound(const Partition& partition, const Costs& costs, std::uint64_t pages) {
  std::size_t next = 0;
  std::vector<bool> used(costs.devices(), false);
  for (const Placement& stage : partition.stages) {
    EXPECT_EQ(stage.first, next);
    EXPECT_GE(stage.count, 1U);
    EXPECT_FALSE(used[stage.device]);
    EXPECT_LE(costs.Needed(stage.first, stage.first + stage.count, pages),
              costs.limit(stage.device));
    used[stage.device] = true;
    next = stage.first + stage.count;
  }
  EXPECT_EQ(next, costs.blocks());
}

TEST(Partition, IsAsGoodAsTheBestOfAllPartitions) {
  std::size_t fitting = 0;
  std::size_t cut = 0;
  for (std::uint64_t seed = 1; seed <= 600; ++seed) {
    std::mt19937_64 random(seed);
    const std::size_t blocks = 1 + random() % 6;
    const std::size_t devices = 1 + random() % 4;
    const PlanRequest request = RandomRequest(random, blocks, devices);
    const std::uint64_t pages = random() % 4;
    const Costs costs(request);
    const Best oracle = BruteForce(request, costs, pages).Search();
    const std::optional<Partition> found = BestPartition(costs, pages, request.objective);
    ASSERT_EQ(found.has_value(), oracle.stages > 0) << "seed " << seed;
    if (!found) continue;
    ++fitting;
    cut += found->stages.size() > 1 ? 1 : 0;
    ExpectSound(*found, costs, pages);
    EXPECT_NEAR(found->cost, oracle.cost, 1e-9 * oracle.cost) << "seed " << seed;
    EXPECT_EQ(found->stages.size(), oracle.stages) << "seed " << seed;
    EXPECT_LE(found->lower_bound, found->cost * (1 + 1e-9)) << "seed " << seed;
  }
  // The cases are worth something only if many fit, many are cut, and some don't fit.
  EXPECT_GT(fitting, 300U);
  EXPECT_GT(cut, 150U);
  EXPECT_LT(fitting, 600U);
}

TEST(Partition, OfOneOrderIsTheBestOfThatOrder) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    std::mt19937_64 random(seed);
    const PlanRequest request = RandomRequest(random, 1 + random() % 6, 1 + random() % 4);
    const Costs costs(request);
    std::vector<std::size_t> order(costs.devices());
    std::iota(order.begin(), order.end(), std::size_t{0});
    // The best over all orders is the best of the best of each.
    Best best;
    do {
      const std::optional<Partition> found = BestInOrder(costs, 1, request.objective, order);
      if (!found) continue;
      ExpectSound(*found, costs, 1);
      if (found->cost < best.cost * (1 - 1e-9) ||
          (found->cost <= best.cost * (1 + 1e-9) && found->stages.size() < best.stages)) {
        best = {found->cost, found->stages.size()};
      }
    } while (std::next_permutation(order.begin(), order.end()));
    const Best oracle = BruteForce(request, costs, 1).Search();
    ASSERT_EQ(best.stages, oracle.stages) << "seed " << seed;
    if (best.stages == 0) continue;
    EXPECT_NEAR(best.cost, oracle.cost, 1e-9 * oracle.cost) << "seed " << seed;
  }
}

TEST(Partition, OfManyDevicesStaysWithinTheBoundThatItStates) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    std::mt19937_64 random(seed);
    std::vector<Device> devices;
    for (int d = 0; d < 12; ++d) {
      devices.push_back(Worker("worker." + std::to_string(d), 1000,
                               static_cast<double>(50 * (1 + random() % 4))));
    }
    const PlanRequest request{TiedModel(60, 10, 5, 0), devices, {}, Objective::kThroughput};
    const Costs costs(request);
    const std::optional<Partition> found = BestPartition(costs, 1, Objective::kThroughput);
    ASSERT_TRUE(found.has_value()) << "seed " << seed;
    ExpectSound(*found, costs, 1);
    EXPECT_FALSE(found->exact);
    EXPECT_GE(found->cost, found->lower_bound * (1 - 1e-9)) << "seed " << seed;
    // Whole blocks cost something: one block of the slowest device at most.
    EXPECT_LE(found->cost, found->lower_bound + 10.0 / 50) << "seed " << seed;
  }
}

TEST(Partition, AgreesWithTheExactSearchForOneMoreDeviceThanThatUsuallyTakes) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    std::mt19937_64 random(seed);
    std::vector<Device> devices;
    for (std::size_t d = 0; d <= kExactDevices; ++d) {
      devices.push_back(Worker("worker." + std::to_string(d), 60 + 10 * (random() % 4),
                               static_cast<double>(50 * (1 + random() % 3))));
    }
    const PlanRequest request{TiedModel(24, 10, 5, 0), devices, {}, Objective::kThroughput};
    const Costs costs(request);
    const std::optional<Partition> exact = BestOfAllOrders(costs, 1, Objective::kThroughput);
    const std::optional<Partition> found = BestPartition(costs, 1, Objective::kThroughput);
    ASSERT_TRUE(exact.has_value() && found.has_value()) << "seed " << seed;
    ExpectSound(*found, costs, 1);
    EXPECT_LE(found->cost, exact->cost * 1.2) << "seed " << seed;
  }
}

}  // namespace
}  // namespace bramble::coordinator
