#include "coordinator/plan/summary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proto/program/memory.h"
#include "proto/program/shard.h"
#include "tests/coordinator/plan/plan_helpers.h"
#include "tests/proto/small_program.h"

namespace bramble::coordinator {
namespace {

using bramble::testing::MakeSmallProgram;
using bramble::testing::SmallModel;

v1::Program Program() {
  SmallModel model;
  model.layers = 6;
  model.encoding = v1::ENCODING_Q8_0;
  model.vocabulary = 500;
  return MakeSmallProgram(model).program;
}

PlanLimits Tight() {
  PlanLimits limits;
  limits.fixed_bytes = 0;
  limits.max_rows = 16;
  limits.max_outputs = 4;
  limits.max_sequences = 2;
  limits.wanted_sequences = 2;
  return limits;
}

TEST(PlanSummary, CountsTheTiedTableOnceInAWorkerThatHoldsBothEnds) {
  const v1::Program program = Program();
  const Result<Plan> plan = PlanProgram(program, {Worker("a", 1000, 100)}, Tight(),
                                        Objective::kThroughput, Sharding::kPipeline);
  ASSERT_TRUE(plan.ok()) << plan.status().message();
  const program::MemoryNeed need = program::Memory(program, plan->limits);
  EXPECT_EQ(plan->stages[0].weight_bytes, need.weight_bytes);
  EXPECT_EQ(plan->stages[0].needed_bytes(), need.total);
  EXPECT_EQ(plan->limits.pages(), 2U * 64 / 32);
}

TEST(PlanSummary, GivesTheWorkersOwnCountsAndStaysWithinTheirLimits) {
  const v1::Program program = Program();
  const PlanLimits limits = Tight();
  // From what all of it takes on one worker down to nothing, in small steps.
  std::uint64_t whole = 0;
  std::size_t planned = 0;
  std::size_t refused = 0;
  for (std::uint64_t percent = 110; percent > 0; percent -= 2) {
    if (whole == 0) {
      const Result<Plan> alone = PlanProgram(program, {Worker("a", 1000, 100)}, limits,
                                             Objective::kThroughput, Sharding::kPipeline);
      ASSERT_TRUE(alone.ok());
      whole = alone->stages[0].needed_bytes();
    }
    std::vector<Device> devices{Worker("a", 0, 100), Worker("b", 0, 200), Worker("c", 0, 100)};
    for (Device& device : devices) device.memory_limit_bytes = whole * percent / 100;
    const Result<Plan> plan =
        PlanProgram(program, devices, limits, Objective::kLatency, Sharding::kPipeline);
    if (!plan.ok()) {
      ++refused;
      EXPECT_EQ(plan.status().code(), Code::kResourceExhausted);
      continue;
    }
    ++planned;
    for (const PlannedStage& stage : plan->stages) {
      EXPECT_LE(stage.needed_bytes(), stage.memory_limit_bytes) << percent << " %";
      const v1::Program shard =
          program::ExtractShard(program, stage.first_block, stage.block_count);
      EXPECT_EQ(stage.needed_bytes(), program::Memory(shard, plan->limits).total);
    }
  }
  EXPECT_GT(planned, 10U);
  EXPECT_GT(refused, 5U);
}

TEST(PlanSummary, FitsOnSeveralWorkersWhatOneCannotHold) {
  const v1::Program program = Program();
  const Result<Plan> alone = PlanProgram(program, {Worker("a", 1000, 100)}, Tight(),
                                         Objective::kThroughput, Sharding::kPipeline);
  ASSERT_TRUE(alone.ok());
  Device small = Worker("a", 0, 100);
  small.memory_limit_bytes = alone->stages[0].needed_bytes() * 3 / 4;
  const Result<Plan> refused =
      PlanProgram(program, {small}, Tight(), Objective::kThroughput, Sharding::kPipeline);
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.status().message(), ::testing::HasSubstr("worker 'a': limit"));
  std::vector<Device> three(3, small);
  three[1].node_id = "b";
  three[2].node_id = "c";
  const Result<Plan> plan =
      PlanProgram(program, three, Tight(), Objective::kThroughput, Sharding::kPipeline);
  ASSERT_TRUE(plan.ok()) << plan.status().message();
  EXPECT_GT(plan->stages.size(), 1U);
}

}  // namespace
}  // namespace bramble::coordinator
