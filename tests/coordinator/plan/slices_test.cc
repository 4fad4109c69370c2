#include "coordinator/plan/slices.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "coordinator/plan/summary.h"
#include "tests/proto/small_program.h"

namespace bramble::coordinator {
namespace {

using bramble::testing::MakeSmallProgram;
using bramble::testing::SmallModel;
using ::testing::HasSubstr;

// Wide enough to be cut in many pieces; every product counts.
v1::Program WideProgram() {
  SmallModel model;
  model.heads = 8;
  model.kv_heads = 8;
  model.inner = 512;
  model.vocabulary = 512;
  return MakeSmallProgram(model).program;
}

PlanLimits Limits() {
  PlanLimits limits;
  limits.page_positions = 16;
  limits.max_rows = 8;
  limits.max_outputs = 2;
  limits.max_sequences = 2;
  limits.wanted_sequences = 2;
  limits.fixed_bytes = 1000;
  limits.smallest_product = 1;
  return limits;
}

Device Worker(const std::string& name, double bytes_per_second, double hop_seconds = 0) {
  Device device;
  device.node_id = name;
  device.memory_limit_bytes = std::uint64_t{1} << 30U;
  device.read_bytes_per_second = bytes_per_second;
  device.hop_seconds = hop_seconds;
  return device;
}

TEST(PlanSlices, GivesSharesBySpeed) {
  const v1::Program program = WideProgram();
  const Result<Plan> plan =
      PlanSlices(program, {Worker("slow", 1e6), Worker("fast", 3e6)}, Limits());
  ASSERT_TRUE(plan.ok()) << plan.status().message();
  ASSERT_EQ(plan->stages.size(), 2U);
  EXPECT_EQ(plan->stages[0].node_id, "fast");
  EXPECT_EQ(plan->stages[0].share, 1000U);
  EXPECT_NEAR(plan->stages[1].share, 333, 1);
  EXPECT_EQ(StageCount(*plan), 1U);
  for (const PlannedStage& stage : plan->stages) {
    EXPECT_EQ(stage.members, 2U);
    EXPECT_EQ(stage.block_count, static_cast<std::uint32_t>(program.blocks_size()));
  }
}

// What a row costs is near what the workers' speeds together allow, and what they wait.
TEST(PlanSlices, ExpectsTheTimeOfTheSlowestShareAndOfTheMeetings) {
  const v1::Program program = WideProgram();
  PlanLimits limits = Limits();
  limits.link_bytes_per_second = 1e12;
  const double alone =
      PlanProgram(program, {Worker("a", 1e6)}, limits, Objective::kLatency, Sharding::kPipeline)
          ->row_seconds;
  const Result<Plan> two = PlanSlices(program, {Worker("a", 1e6), Worker("b", 1e6)}, limits);
  ASSERT_TRUE(two.ok()) << two.status().message();
  EXPECT_GT(two->row_seconds, alone / 2);
  EXPECT_LT(two->row_seconds, alone * 0.6);
  const Result<Plan> far =
      PlanSlices(program, {Worker("a", 1e6, 0.01), Worker("b", 1e6, 0.01)}, limits);
  // Two layers with four meetings each, the table's rows, the logits.
  EXPECT_NEAR(far->row_seconds - two->row_seconds, 10 * 0.01, 1e-6);
}

TEST(PlanSlices, LeavesOutWhoWouldHoldUpTheOthers) {
  const Result<Plan> plan = PlanSlices(
      WideProgram(), {Worker("a", 1e6), Worker("b", 1e6), Worker("far", 1e6, 5)}, Limits());
  ASSERT_TRUE(plan.ok()) << plan.status().message();
  EXPECT_EQ(plan->stages.size(), 2U);
  EXPECT_THAT(plan->reasons, ::testing::Contains(HasSubstr("would hold up the others")));
}

TEST(PlanSlices, GivesLessToWhoHasLittleMemory) {
  const v1::Program program = WideProgram();
  std::vector<Device> devices = {Worker("a", 1e6), Worker("b", 1e6)};
  const Result<Plan> roomy = PlanSlices(program, devices, Limits());
  ASSERT_TRUE(roomy.ok()) << roomy.status().message();
  devices[1].memory_limit_bytes = roomy->stages[1].needed_bytes() * 3 / 4;
  const Result<Plan> tight = PlanSlices(program, devices, Limits());
  ASSERT_TRUE(tight.ok()) << tight.status().message();
  EXPECT_LT(tight->stages[1].share, roomy->stages[1].share);
  for (const PlannedStage& stage : tight->stages) {
    EXPECT_LE(stage.needed_bytes(), stage.memory_limit_bytes);
  }
}

TEST(PlanSlices, RefusesWithTheArithmetic) {
  std::vector<Device> devices = {Worker("a", 1e6), Worker("b", 1e6)};
  for (Device& device : devices) device.memory_limit_bytes = 20'000;
  const Result<Plan> plan = PlanSlices(WideProgram(), devices, Limits());
  EXPECT_EQ(plan.status().code(), Code::kResourceExhausted);
  EXPECT_THAT(plan.status().message(), HasSubstr("shared by 2 workers, "));
  EXPECT_THAT(plan.status().message(), HasSubstr(" of 19.5 KiB"));
}

TEST(PlanSlices, RefusesWhatCannotBeShared) {
  EXPECT_EQ(PlanSlices(WideProgram(), {Worker("a", 1e6)}, Limits()).status().code(),
            Code::kUnimplemented);
  PlanLimits limits = Limits();
  limits.smallest_product = 1U << 30U;
  EXPECT_THAT(
      PlanSlices(WideProgram(), {Worker("a", 1e6), Worker("b", 1e6)}, limits).status().message(),
      HasSubstr("nothing that is worth sharing"));
}

TEST(PlanProgram, TakesSlicesWhereOneRowIsFasterThatWay) {
  const v1::Program program = WideProgram();
  const std::vector<Device> near = {Worker("a", 1e6), Worker("b", 1e6)};
  const std::vector<Device> far = {Worker("a", 1e6, 1), Worker("b", 1e6, 1)};
  const auto members = [&](const std::vector<Device>& devices, Objective objective) {
    const Result<Plan> plan = PlanProgram(program, devices, Limits(), objective, Sharding::kAuto);
    EXPECT_TRUE(plan.ok()) << plan.status().message();
    return plan->stages[0].members;
  };
  EXPECT_EQ(members(near, Objective::kLatency), 2U);
  EXPECT_EQ(members(far, Objective::kLatency), 1U);
  EXPECT_EQ(members(near, Objective::kThroughput), 1U);
  const Result<Plan> plan =
      PlanProgram(program, near, Limits(), Objective::kLatency, Sharding::kAuto);
  EXPECT_THAT(plan->reasons.back(), HasSubstr("a pipeline would take "));
}

}  // namespace
}  // namespace bramble::coordinator
