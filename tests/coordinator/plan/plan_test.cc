#include "coordinator/plan/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/coordinator/plan/plan_helpers.h"

namespace bramble::coordinator {
namespace {

using ::testing::HasSubstr;

PlanLimits NoOverhead() {
  PlanLimits limits;
  limits.fixed_bytes = 0;
  limits.context = 32;  // one page
  limits.wanted_sequences = 1;
  return limits;
}

struct Case {
  const char* what;
  ModelSummary model;
  std::vector<Device> devices;
  Objective objective;
  const char* shape;
};

// Blocks of the tied model with n layers: 0 embed, 1..n layers, n + 1 head.
const std::vector<Case>& Cases() {
  static const std::vector<Case> cases = {
      {"one worker holds everything",
       TiedModel(4, 10, 20, 0),
       {Worker("a", 1000, 100)},
       Objective::kThroughput,
       "a:0-5"},
      {"equal workers get equal work: the embedding costs nothing to read",
       TiedModel(6, 10, 0, 0),
       {Worker("a", 1000, 100), Worker("b", 1000, 100)},
       Objective::kThroughput,
       "a:0-3 b:4-7"},
      {"a worker twice as fast gets twice the layers",
       TiedModel(6, 10, 0, 0),
       {Worker("slow", 1000, 100), Worker("fast", 1000, 200)},
       Objective::kThroughput,
       "fast:0-4 slow:5-7"},
      {"little memory limits what a fast worker gets",
       TiedModel(6, 10, 0, 0),
       {Worker("small", 20, 1000), Worker("large", 1000, 100)},
       Objective::kThroughput,
       "small:0-2 large:3-7"},
      {"latency takes the fastest worker alone when it can hold all",
       TiedModel(6, 10, 0, 0),
       {Worker("slow", 1000, 100), Worker("fast", 1000, 200), Worker("mid", 1000, 150)},
       Objective::kLatency,
       "fast:0-7"},
      {"latency gives the fastest as much as it can hold",
       TiedModel(6, 10, 0, 0),
       {Worker("slow", 1000, 100), Worker("fast", 40, 200)},
       Objective::kLatency,
       "fast:0-4 slow:5-7"},
      {"a tied table is held once by a worker that has both ends",
       TiedModel(2, 10, 50, 0),
       {Worker("a", 70, 100)},
       Objective::kThroughput,
       "a:0-3"},
      {"the head's large table needs the worker that has room for it",
       TiedModel(2, 10, 50, 0),
       {Worker("small", 60, 100), Worker("large", 72, 100)},
       Objective::kThroughput,
       "large:0-2 small:3-3"},
  };
  return cases;
}

TEST(Plan, PlacesBlocksAsTheTableSays) {
  for (const Case& c : Cases()) {
    const Result<Plan> plan = MakePlan({c.model, c.devices, NoOverhead(), c.objective});
    ASSERT_TRUE(plan.ok()) << c.what << ": " << plan.status().message();
    EXPECT_EQ(Shape(*plan), c.shape) << c.what;
  }
}

TEST(Plan, UsesNoMoreStagesThanTheSlowestOneNeeds) {
  // One layer is so large that nothing is won by cutting the rest any further.
  ModelSummary model = TiedModel(3, 1, 0, 0);
  model.blocks[2].weights[0].bytes = model.blocks[2].read_bytes[v1::ENCODING_Q4_1] = 100 * kMiB;
  std::vector<Device> devices;
  for (const char* name : {"a", "b", "c", "d", "e"}) devices.push_back(Worker(name, 1000, 100));
  const Result<Plan> plan = MakePlan({model, devices, NoOverhead(), Objective::kThroughput});
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan->stages.size(), 3U) << Shape(*plan);
}

TEST(Plan, CountsTheTiedTableOnEveryWorkerThatHoldsAnEndOfTheModel) {
  const Result<Plan> plan = MakePlan({TiedModel(2, 10, 50, 0),
                                      {Worker("a", 1000, 100), Worker("b", 1000, 100)},
                                      NoOverhead(),
                                      Objective::kThroughput});
  ASSERT_TRUE(plan.ok());
  ASSERT_EQ(plan->stages.size(), 2U);
  EXPECT_EQ(plan->stages[0].weight_bytes + plan->stages[1].weight_bytes, (2 * 10 + 2 * 50) * kMiB);
}

TEST(Plan, ExpectsTheTimesThatTheMeasurementsGive) {
  const Result<Plan> plan = MakePlan({TiedModel(6, 10, 0, 0),
                                      {Worker("slow", 1000, 100), Worker("fast", 1000, 200)},
                                      NoOverhead(),
                                      Objective::kThroughput});
  ASSERT_TRUE(plan.ok());
  // 40 MiB at 200 MiB/s and 20 MiB at 100 MiB/s: 0.2 s each.
  EXPECT_NEAR(plan->slowest_stage_seconds, 0.2, 1e-4);
  EXPECT_NEAR(plan->row_seconds, 0.2 + 0.2 + 2 * 0.0002 + 4096 / 117e6, 1e-4);
  // 2 operations a weight byte, 100 times as many a second as bytes.
  EXPECT_NEAR(plan->stages[1].prefill_rows_per_second, 100 * 100 / (2 * 20.0), 0.1);
}

TEST(Plan, TakesAWorkerThatMeasuredNothingForASlowOne) {
  Device unknown;
  unknown.node_id = "unknown";
  unknown.memory_limit_bytes = 1000 * kMiB;
  const Result<Plan> plan = MakePlan({TiedModel(9, 10, 0, 0),
                                      {Worker("known", 1000, 8000), unknown},
                                      NoOverhead(),
                                      Objective::kThroughput});
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(Shape(*plan), "known:0-8 unknown:9-10");
}

TEST(Plan, TakesAsManyPagesAsMemoryAllowsUpToWhatIsWanted) {
  // A page costs 1 MiB in each of 4 layers; weights take 40 MiB.
  const ModelSummary model = TiedModel(4, 10, 0, kMiB);
  PlanLimits limits = NoOverhead();
  limits.context = 128;  // 4 pages
  limits.wanted_sequences = 4;
  struct Row {
    std::uint64_t memory_mib;
    std::uint32_t pages;  // 0: refused
  };
  for (const Row& row : {Row{40 + 64, 16}, Row{40 + 63, 15}, Row{40 + 16, 4}, Row{40 + 15, 0}}) {
    const Result<Plan> plan =
        MakePlan({model, {Worker("a", row.memory_mib, 100)}, limits, Objective::kThroughput});
    EXPECT_EQ(plan.ok() ? plan->limits.pages() : 0, row.pages) << row.memory_mib << " MiB";
    if (!plan.ok()) continue;
    EXPECT_LE(plan->stages[0].needed_bytes(), row.memory_mib * kMiB);
  }
}

TEST(Plan, PaysALittleSpeedForRoomButNotMuch) {
  // "tight" is fast, but has no memory for more than the least number of pages.
  const ModelSummary model = TiedModel(10, 10, 0, kMiB);
  PlanLimits limits = NoOverhead();
  limits.wanted_sequences = 10;
  const Result<Plan> plan = MakePlan({model,
                                      {Worker("tight", 56, 100), Worker("roomy", 1000, 100)},
                                      limits,
                                      Objective::kThroughput});
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan->stages[0].block_count + plan->stages[1].block_count, 12U);
  EXPECT_NEAR(plan->slowest_stage_seconds, 0.5, 1e-4) << "five layers each, though pages are few";
  EXPECT_LT(plan->limits.pages(), 10U);
}

TEST(Plan, RefusesWhatDoesNotFitAndShowsTheSum) {
  PlanLimits limits = NoOverhead();
  limits.fixed_bytes = 8 * kMiB;
  const Result<Plan> plan = MakePlan({TiedModel(10, 10, 20, kMiB),
                                      {Worker("pi-a", 64, 100), Worker("pi-b", 32, 100)},
                                      limits,
                                      Objective::kThroughput});
  ASSERT_FALSE(plan.ok());
  EXPECT_EQ(plan.status().code(), Code::kResourceExhausted);
  EXPECT_EQ(plan.status().message(),
            "model 'tied' does not fit into the memory of 2 workers:\n"
            "  the model: 120.0 MiB of weights + 10.0 MiB of caches for one sequence of 32 "
            "positions = 130.0 MiB\n"
            "  worker 'pi-a': limit 64.0 MiB, less 8.0 MiB for itself and at least 0 B of buffers: "
            "56.0 MiB for weights and caches\n"
            "  worker 'pi-b': limit 32.0 MiB, less 8.0 MiB for itself and at least 0 B of buffers: "
            "24.0 MiB for weights and caches\n"
            "  together 80.0 MiB: 50.0 MiB too little\n"
            "  add a worker, raise --memory, or lower --context");
}

TEST(Plan, SaysWhichBlockIsTooLargeForAnyWorker) {
  const Result<Plan> plan = MakePlan({TiedModel(2, 10, 50, 0),
                                      {Worker("a", 45, 100), Worker("b", 45, 100)},
                                      NoOverhead(),
                                      Objective::kThroughput});
  ASSERT_FALSE(plan.ok());
  EXPECT_THAT(plan.status().message(), HasSubstr("block 'embed' alone takes 50.0 MiB"));
}

TEST(Plan, SaysThatWholeBlocksLeaveGaps) {
  const Result<Plan> plan = MakePlan({TiedModel(3, 10, 0, 0),
                                      {Worker("a", 15, 100), Worker("b", 15, 100)},
                                      NoOverhead(),
                                      Objective::kThroughput});
  ASSERT_FALSE(plan.ok());
  EXPECT_THAT(plan.status().message(), HasSubstr("whole blocks (the largest takes 10.0 MiB)"));
}

TEST(Plan, RefusesRequestsThatMakeNoSense) {
  PlanRequest request{
      TiedModel(2, 1, 1, 0), {Worker("a", 99, 1)}, NoOverhead(), Objective::kThroughput};
  PlanRequest none = request;
  none.devices.clear();
  EXPECT_EQ(MakePlan(none).status().code(), Code::kResourceExhausted);
  PlanRequest twice = request;
  twice.devices.push_back(twice.devices[0]);
  EXPECT_THAT(MakePlan(twice).status().message(), HasSubstr("'a' is listed twice"));
  PlanRequest long_context = request;
  long_context.limits.context = 2048;
  EXPECT_THAT(MakePlan(long_context).status().message(), HasSubstr("was made for 1024"));
  PlanRequest empty = request;
  empty.model.blocks.clear();
  EXPECT_THAT(MakePlan(empty).status().message(), HasSubstr("has no blocks"));
  PlanRequest rows = request;
  rows.limits.max_rows = 0;
  EXPECT_EQ(MakePlan(rows).status().code(), Code::kInvalidArgument);
}

TEST(Plan, IsPrintedForPeopleAndForPrograms) {
  const Result<Plan> plan = MakePlan({TiedModel(6, 10, 0, 0),
                                      {Worker("slow", 1000, 100), Worker("fast", 1000, 200)},
                                      NoOverhead(),
                                      Objective::kThroughput});
  ASSERT_TRUE(plan.ok());
  const nlohmann::json json = nlohmann::json::parse(PlanJson(*plan));
  EXPECT_EQ(json["stages"][0]["node"], "fast");
  EXPECT_EQ(json["stages"][0]["blocks"], 5);
  EXPECT_EQ(json["stages"][1]["weight_bytes"], 20 * kMiB);
  EXPECT_EQ(json["limits"]["pages"], 1);
  EXPECT_EQ(json["objective"], "throughput");
  const std::string table = PlanTable(*plan);
  EXPECT_THAT(table, HasSubstr("embed to layer.3 (5)"));
  EXPECT_THAT(table, HasSubstr("slow holds layer.4 to head: 20.0 MiB weights"));
  EXPECT_THAT(table, HasSubstr("every order of 2 workers and every cut was searched"));
}

}  // namespace
}  // namespace bramble::coordinator
