// Mixtures of experts: what the check refuses, and what a checked one costs.
#include "proto/program/moe.h"

#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "proto/program/check.h"
#include "proto/program/cost.h"
#include "proto/program/held.h"
#include "proto/program/memory.h"
#include "proto/program/print.h"
#include "proto/program/references.h"
#include "proto/program/schedule.h"
#include "proto/program/shard.h"
#include "tests/proto/small_program.h"

namespace bramble::program {
namespace {

using testing::MakeSmallProgram;
using testing::SmallModel;

SmallModel WithExperts() {
  SmallModel model;
  model.moe = testing::SmallExperts();
  return model;
}

v1::Operation& Experts(v1::Program& program) {
  for (v1::Operation& op : *program.mutable_blocks(1)->mutable_operations()) {
    if (op.has_moe()) return op;
  }
  ADD_FAILURE() << "no experts";
  return *program.mutable_blocks(1)->mutable_operations(0);
}

struct Lie {
  const char* what;
  std::function<void(v1::Program&, v1::Moe&)> tell;
  const char* reason;
};

TEST(CheckMoe, RefusesLies) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  constexpr std::uint32_t kHuge = ~0U;
  const std::vector<Lie> lies = {
      {"no experts", [](auto&, auto& m) { m.set_experts(0); }, "experts is 0"},
      {"too many experts", [](auto&, auto& m) { m.set_experts(kHuge); }, "must be 1 to 4096"},
      {"other experts than logits", [](auto&, auto& m) { m.set_experts(5); }, "logits is 6 wide"},
      {"none for a row", [](auto&, auto& m) { m.set_experts_per_row(0); }, "experts_per_row is 0"},
      {"more for a row than there are", [](auto&, auto& m) { m.set_experts_per_row(7); },
       "must be 1 to 6"},
      {"no score", [](auto&, auto& m) { m.clear_score(); }, "score 0 does not exist"},
      {"unknown score", [](auto&, auto& m) { m.set_score(static_cast<v1::Moe::Score>(99)); },
       "score 99"},
      {"threshold of another score", [](auto&, auto& m) { m.set_threshold(1); }, "threshold"},
      {"threshold that is none",
       [](auto&, auto& m) {
         m.set_score(v1::Moe::SCORE_THRESHOLD);
         m.set_threshold(kNan);
       },
       "threshold is nan"},
      {"threshold with groups",
       [](auto&, auto& m) {
         m.set_score(v1::Moe::SCORE_THRESHOLD);
         m.set_groups(2);
       },
       "neither groups"},
      {"no scale", [](auto&, auto& m) { m.clear_scale(); }, "scale is 0"},
      {"a scale that is no number", [](auto&, auto& m) { m.set_scale(kNan); }, "scale is nan"},
      {"unequal groups", [](auto&, auto& m) { m.set_groups(4); }, "not 4 equal groups"},
      {"more groups than experts", [](auto&, auto& m) { m.set_groups(12); }, "12 equal groups"},
      {"no groups for a row", [](auto&, auto& m) { m.set_groups(3); }, "groups_per_row is 0"},
      {"too few experts in the groups",
       [](auto&, auto& m) {
         m.set_groups(6);
         m.set_groups_per_row(1);
         m.set_group_score(v1::Moe::GROUP_SCORE_MAX);
       },
       "1 groups have 1 experts, a row needs 2"},
      {"no group score",
       [](auto&, auto& m) {
         m.set_groups(3);
         m.set_groups_per_row(1);
       },
       "group_score 0"},
      {"groups for a row without groups", [](auto&, auto& m) { m.set_groups_per_row(1); },
       "belong to groups"},
      {"a bias that is not there", [](auto&, auto& m) { m.set_selection_bias(kHuge); },
       "selection_bias is weight"},
      {"a matrix for a bias", [](auto&, auto& m) { m.set_selection_bias(0); }, "[50, 64]"},
      {"a matrix for scales", [](auto&, auto& m) { m.set_expert_scale(0); }, "expert_scale has"},
      {"tasks", [](auto&, auto& m) { m.add_task_ranges(1); }, "task_ranges) is not run"},
      {"no up", [](auto&, auto& m) { m.clear_up(); }, "has no up"},
      {"no down", [](auto&, auto& m) { m.clear_down(); }, "has no down"},
      {"an up that is not there", [](auto&, auto& m) { m.set_up(0, kHuge); }, "up is weight"},
      {"a later up that is not there", [](auto&, auto& m) { m.set_up(5, kHuge); }, "up is weight"},
      {"a vector for up",
       [](auto& p, auto& m) { m.set_up(0, p.blocks(1).operations(0).norm().gain()); },
       "rows for each expert"},
      {"too few matrices", [](auto&, auto& m) { m.mutable_up()->RemoveLast(); },
       "up has 5 matrices for 6 experts"},
      {"too many matrices", [](auto&, auto& m) { m.add_down(m.down(0)); },
       "down has 9 matrices for 6 experts"},
      {"more weights than experts",
       [](auto&, auto& m) {
         for (int i = 0; i < 9; ++i) m.add_up(m.up(0));
       },
       "15 weights for 6 experts"},
      {"a stack of very many experts",
       [](auto& p, auto& m) {
         v1::Weight& weight = *p.mutable_weights(static_cast<int>(m.gate(0)));
         weight.set_shape(0, std::uint64_t{1} << 20U);
       },
       "gate has 1048576 matrices"},
      {"gate and down exchanged",
       [](auto&, auto& m) {
         const std::uint32_t gate = m.gate(0);
         m.set_gate(0, m.down(0));
         m.set_down(0, gate);
       },
       "must have [96, 64] for each expert"},
      {"several encodings",
       [](auto& p, auto& m) {
         p.mutable_weights(static_cast<int>(m.up(3)))->set_encoding(v1::ENCODING_F16);
       },
       "partly in ENCODING_F32 and partly in ENCODING_F16"},
      {"no function", [](auto&, auto& m) { m.clear_function(); }, "function 0"},
      {"a limit below zero", [](auto&, auto& m) { m.set_limit(-1); }, "limit is -1"},
      {"an offset that is no number", [](auto&, auto& m) { m.set_offset(kNan); }, "offset"},
      {"a limit without a gate",
       [](auto&, auto& m) {
         m.clear_gate();
         m.set_limit(1);
       },
       "belong to experts with a gate"},
      {"a bias of another width", [](auto&, auto& m) { m.set_up_bias(0); },
       "up_bias has the shape [50, 64], must have [6, 96]"},
      {"a bias that is not there", [](auto&, auto& m) { m.set_down_bias(kHuge); },
       "down_bias is weight"},
      {"integers for floats", [](auto&, auto& m) { m.set_input_form(v1::INPUT_FORM_A8_32); },
       "take no A8_32"},
      {"no form", [](auto&, auto& m) { m.clear_inner_form(); }, "input_form 0"},
      {"no segments", [](auto&, auto& m) { m.clear_width_segment_ends(); },
       "has 0 width_segment_ends"},
      {"segments that end early",
       [](auto&, auto& m) { m.mutable_inner_segment_ends()->RemoveLast(); },
       "inner_segment_ends end at 64"},
      {"no group of sums", [](auto&, auto& m) { m.set_sum_groups(0); }, "sum_groups is 0"},
      {"more groups of sums than experts", [](auto&, auto& m) { m.set_sum_groups(7); },
       "must be 1 to 6"},
  };
  for (const Lie& lie : lies) {
    v1::Program program = MakeSmallProgram(WithExperts()).program;
    lie.tell(program, *Experts(program).mutable_moe());
    const Status status = CheckProgram(program);
    ASSERT_FALSE(status.ok()) << lie.what;
    EXPECT_EQ(status.message().rfind("layer.0/experts: ", 0), 0U)
        << lie.what << ": " << status.message();
    EXPECT_NE(status.message().find(lie.reason), std::string::npos)
        << lie.what << ": " << status.message();
  }
}

TEST(CheckMoe, RefusesOtherOperands) {
  v1::Program program = MakeSmallProgram(WithExperts()).program;
  Experts(program).mutable_inputs()->RemoveLast();
  EXPECT_NE(CheckProgram(program).message().find("1 inputs, needs 2"), std::string::npos);
}

TEST(Moe, NamesAllItsWeights) {
  SmallModel model = WithExperts();
  model.biases = true;
  model.selection_bias = true;
  model.expert_scale = true;
  v1::Program program = MakeSmallProgram(model).program;
  std::set<std::string> names;
  VisitWeights(Experts(program), [&](std::uint32_t index) {
    names.insert(program.weights(static_cast<int>(index)).name());
  });
  // Gate in one stack, up in six matrices, down in a stack of three and three matrices.
  EXPECT_EQ(names.size(), 1U + 6U + 4U + 5U);
  EXPECT_TRUE(CheckProgram(ExtractShard(program, 1, 1)).ok());
  EXPECT_NE(PrintProgram(program).find("moe(2 of 6 experts, softmax_then_top, bias"),
            std::string::npos);
}

TEST(Moe, CostsWhatARowReads) {
  const v1::Program program = MakeSmallProgram(WithExperts()).program;
  const BlockCost with = BlockCosts(program)[1];
  const BlockCost without = BlockCosts(MakeSmallProgram().program)[1];
  // Two of six experts and the router, in place of one network of the same width.
  EXPECT_EQ(with.token_multiplies, without.token_multiplies + 3 * 64 * 96 + 6 * 64);
  EXPECT_EQ(with.read_bytes.at(v1::ENCODING_F32),
            without.read_bytes.at(v1::ENCODING_F32) + 4 * (3 * 64 * 96 + 6 * 64));
}

TEST(Moe, HoldsEachExpertInWholePanels) {
  SmallModel model = WithExperts();
  model.inner = 40;
  v1::Program program = MakeSmallProgram(model).program;
  const HeldWeights held = HoldWeights(program, 1, 1);
  ASSERT_EQ(held.stacks_of.size(), 1U);
  const HeldStacks& stacks = held.stacks_of.begin()->second;
  ASSERT_EQ(stacks.gate.size(), 1U);
  ASSERT_EQ(stacks.up.size(), 6U);
  ASSERT_EQ(stacks.down.size(), 4U);
  EXPECT_EQ(HeldBytes(program, held.items[stacks.gate[0]]), 6U * 48 * 64 * 4);
  EXPECT_EQ(HeldBytes(program, held.items[stacks.up[0]]), 48U * 64 * 4);
  EXPECT_EQ(HeldBytes(program, held.items[stacks.down[0]]), 3U * 64 * 40 * 4);
}

// A weight may be a matrix of one expert and a table of biases.
TEST(Moe, HoldsAWeightAsMatrixAndAsVector) {
  SmallModel model = WithExperts();
  model.moe.set_experts(1);
  model.moe.set_experts_per_row(1);
  model.moe.set_sum_groups(1);
  model.inner = 1;
  v1::Program program = MakeSmallProgram(model).program;
  v1::Moe& moe = *Experts(program).mutable_moe();
  moe.set_down_bias(moe.up(0));
  const Status status = CheckProgram(program);
  ASSERT_TRUE(status.ok()) << status.message();
  const HeldWeights held = HoldWeights(program, 1, 1);
  EXPECT_NE(held.vector_of[moe.up(0)], kNone);
  EXPECT_EQ(held.items[held.stacks_of.begin()->second.up[0]].form, HeldForm::kMatrix);
}

// Many experts with many rows need much memory, and it is counted, not wrapped around.
TEST(Moe, CountsScratchAndSlots) {
  const v1::Program program = MakeSmallProgram(WithExperts()).program;
  v1::Limits limits;
  limits.set_max_rows(1024);
  limits.set_max_outputs(1);
  limits.set_max_sequences(1);
  limits.set_pages(1);
  limits.set_page_positions(16);
  EXPECT_GE(ThreadScratchBytes(program, limits), 4U * (4096 + 4 * 1024 * 16));
  const Schedule schedule = MakeSchedule(program);
  const ExpertTensors& tensors = schedule.experts_of.begin()->second;
  EXPECT_EQ(schedule.tensors[tensors.collected].row_bytes, 2U * 64 * 4);
  EXPECT_EQ(schedule.tensors[tensors.expanded].row_bytes, 2U * 96 * 4);
  EXPECT_GE(schedule.tensors[tensors.plan].row_bytes, 12U + 2 * 24);
}

}  // namespace
}  // namespace bramble::program
