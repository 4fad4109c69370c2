// Shards, schedule, buffers, memory, cost and print of checked programs.
#include <gtest/gtest.h>

#include <algorithm>

#include "proto/program/check.h"
#include "proto/program/cost.h"
#include "proto/program/held.h"
#include "proto/program/memory.h"
#include "proto/program/plan_buffers.h"
#include "proto/program/print.h"
#include "proto/program/references.h"
#include "proto/program/schedule.h"
#include "proto/program/shard.h"
#include "proto/program/weights.h"
#include "tests/proto/small_program.h"

namespace bramble::program {
namespace {

using testing::MakeSmallProgram;
using testing::SmallModel;

v1::Limits SmallLimits() {
  v1::Limits limits;
  limits.set_max_rows(8);
  limits.set_max_outputs(4);
  limits.set_max_sequences(3);
  limits.set_pages(10);
  limits.set_page_positions(16);
  return limits;
}

SmallModel Quantized() {
  SmallModel model;
  model.encoding = v1::ENCODING_Q4_0;
  model.input_form = v1::INPUT_FORM_A8_32;
  return model;
}

TEST(Shard, OfEveryRangePassesTheCheck) {
  const v1::Program program = MakeSmallProgram().program;
  const auto blocks = static_cast<std::uint32_t>(program.blocks_size());
  for (std::uint32_t first = 0; first < blocks; ++first) {
    for (std::uint32_t count = 1; first + count <= blocks; ++count) {
      const Status status = CheckProgram(ExtractShard(program, first, count));
      EXPECT_TRUE(status.ok()) << first << "+" << count << ": " << status.message();
    }
  }
}

TEST(Shard, OfAllIsTheProgram) {
  const v1::Program program = MakeSmallProgram().program;
  const v1::Program shard =
      ExtractShard(program, 0, static_cast<std::uint32_t>(program.blocks_size()));
  EXPECT_EQ(shard.SerializeAsString(), program.SerializeAsString());
}

TEST(Shard, HoldsOnlyWhatItsBlocksNeed) {
  const v1::Program program = MakeSmallProgram().program;
  const v1::Program shard = ExtractShard(program, 2, 1);
  ASSERT_EQ(shard.blocks_size(), 1);
  EXPECT_EQ(shard.blocks(0).name(), "layer.1");
  ASSERT_EQ(shard.caches_size(), 1);
  EXPECT_EQ(shard.caches(0).name(), "kv.1");
  ASSERT_EQ(shard.streams_size(), 2);
  EXPECT_TRUE(shard.streams(0).enters());
  EXPECT_FALSE(shard.streams(0).leaves());
  EXPECT_TRUE(shard.streams(1).leaves());
  for (const v1::Weight& weight : shard.weights()) EXPECT_NE(weight.name(), "table");
}

// A stream from the first block to the last passes through every part between.
TEST(Shard, PassesOnAStreamThatALaterPartReads) {
  v1::Program program = MakeSmallProgram().program;
  v1::Block& head = *program.mutable_blocks(3);
  v1::Value& value = *head.add_values();
  value.set_name("skip");
  value.set_width(64);
  value.set_rows(v1::ROW_KIND_TOKEN);
  v1::Port& port = *head.add_inputs();
  port.set_stream(0);
  port.set_value(static_cast<std::uint32_t>(head.values_size() - 1));
  ASSERT_TRUE(CheckProgram(program).ok());
  const v1::Program middle = ExtractShard(program, 1, 2);
  ASSERT_TRUE(CheckProgram(middle).ok());
  ASSERT_EQ(middle.streams(0).name(), "hidden.0");
  EXPECT_TRUE(middle.streams(0).enters());
  EXPECT_TRUE(middle.streams(0).leaves());
}

TEST(Shard, LeavesInTheOrderInWhichTheNextEnters) {
  const v1::Program program = MakeSmallProgram().program;
  for (std::uint32_t cut = 1; cut < 4; ++cut) {
    std::vector<std::string> left;
    std::vector<std::string> entered;
    const v1::Program before = ExtractShard(program, 0, cut);
    const v1::Program after = ExtractShard(program, cut, 4 - cut);
    for (const v1::Stream& stream : before.streams()) {
      if (stream.leaves()) left.push_back(stream.name());
    }
    for (const v1::Stream& stream : after.streams()) {
      if (stream.enters()) entered.push_back(stream.name());
    }
    EXPECT_EQ(left, entered);
    EXPECT_EQ(left.size(), 1U);
  }
}

TEST(References, AreAllUint32FieldsThatNameWeights) {
  // Every weight of the small program is named by an operation; a kind that references.cc forgot
  // would leave some.
  SmallModel model;
  model.learned_positions = true;
  model.biases = true;
  model.slopes_and_sinks = true;
  model.norm = v1::Norm::KIND_LAYER;
  const v1::Program program = MakeSmallProgram(model).program;
  std::vector<bool> seen(static_cast<std::size_t>(program.weights_size()));
  for (const v1::Block& block : program.blocks()) {
    for (const v1::Operation& op : block.operations()) {
      VisitWeights(op, [&](std::uint32_t weight) { seen[weight] = true; });
    }
  }
  EXPECT_TRUE(std::all_of(seen.begin(), seen.end(), [](bool s) { return s; }));
}

TEST(Schedule, RunsEveryNodeAfterWhatItReads) {
  const v1::Program program = MakeSmallProgram(Quantized()).program;
  const Schedule schedule = MakeSchedule(program);
  std::size_t operations = 0;
  for (std::size_t i = 0; i < schedule.nodes.size(); ++i) {
    const Node& node = schedule.nodes[i];
    EXPECT_GE(node.level, schedule.nodes[i > 0 ? i - 1 : 0].level);
    if (node.kind != NodeKind::kOperation) continue;
    ++operations;
    const v1::Operation& op =
        program.blocks(static_cast<int>(node.block)).operations(static_cast<int>(node.operation));
    for (const std::uint32_t value : op.inputs()) {
      const Tensor& input = schedule.tensors[schedule.of_value[node.block][value]];
      EXPECT_LE(input.first, node.level);
      EXPECT_TRUE(input.producer == kNone || input.producer < i);
      const bool read_in_another_form = op.has_linear() || op.has_attention();
      EXPECT_TRUE(read_in_another_form || input.last >= node.level);
    }
  }
  std::size_t expected = 0;
  for (const v1::Block& block : program.blocks())
    expected += static_cast<std::size_t>(block.operations_size());
  EXPECT_EQ(operations, expected);
}

TEST(Schedule, QuantizesAnInputOnceForAllThatReadIt) {
  const Schedule schedule = MakeSchedule(MakeSmallProgram(Quantized()).program);
  const auto quantized = std::count_if(schedule.nodes.begin(), schedule.nodes.end(),
                                       [](const Node& n) { return n.kind == NodeKind::kQuantize; });
  EXPECT_EQ(quantized, 2 * 4 + 1);  // q k v, out, gate and up, down of two layers; the head
  const auto angles = std::count_if(schedule.nodes.begin(), schedule.nodes.end(),
                                    [](const Node& n) { return n.kind == NodeKind::kAngles; });
  EXPECT_EQ(angles, 1);
}

TEST(Schedule, TakesNineLevelsForALayer) {
  SmallModel two = Quantized();
  SmallModel five = Quantized();
  five.layers = 5;
  const std::uint32_t few = MakeSchedule(MakeSmallProgram(two).program).levels;
  const std::uint32_t more = MakeSchedule(MakeSmallProgram(five).program).levels;
  EXPECT_EQ(more - few, 3U * 9U);
}

TEST(PlanBuffers, NeverLetsTwoLiveTensorsShareBytes) {
  for (const SmallModel& model : {SmallModel{}, Quantized()}) {
    const v1::Program program = MakeSmallProgram(model).program;
    const Schedule schedule = MakeSchedule(program);
    const v1::Limits limits = SmallLimits();
    const BufferPlan plan = PlanBuffers(schedule, limits);
    const auto end = [&](std::size_t i) {
      return plan.offsets[i] +
             schedule.tensors[i].row_bytes * MostRows(schedule.tensors[i].rows, limits);
    };
    std::uint64_t all = 0;
    for (std::size_t a = 0; a < schedule.tensors.size(); ++a) {
      EXPECT_EQ(plan.offsets[a] % 64, 0U);
      EXPECT_LE(end(a), plan.bytes);
      all += end(a) - plan.offsets[a];
      for (std::size_t b = 0; b < a; ++b) {
        const Tensor& x = schedule.tensors[a];
        const Tensor& y = schedule.tensors[b];
        const bool alive_together = x.first <= y.last && y.first <= x.last;
        const bool overlap = plan.offsets[a] < end(b) && plan.offsets[b] < end(a);
        EXPECT_FALSE(alive_together && overlap) << a << " and " << b;
      }
    }
    EXPECT_LT(plan.bytes, all / 2);  // it does reuse
  }
}

TEST(Memory, CountsWeightsCachesAndBuffers) {
  const v1::Program program = MakeSmallProgram(Quantized()).program;
  const v1::Limits limits = SmallLimits();
  const MemoryNeed need = Memory(program, limits);
  // Two layers, 2 heads, 32 + 32 numbers of 4 bytes, 10 pages of 16.
  EXPECT_EQ(need.cache_bytes, 2U * 2 * 64 * 4 * 160);
  std::uint64_t encoded = 0;
  for (const v1::Weight& weight : program.weights()) encoded += WeightBytes(weight);
  EXPECT_GE(need.weight_bytes, encoded);
  EXPECT_LT(need.weight_bytes,
            encoded * 11 / 10 + 64U * static_cast<unsigned>(program.weights_size()));
  EXPECT_GE(need.buffer_bytes, PlanBuffers(MakeSchedule(program), limits).bytes);
  EXPECT_EQ(need.total, need.weight_bytes + need.cache_bytes + need.buffer_bytes);
}

TEST(Memory, OfPartsHoldsASharedTableInEachPartThatUsesIt) {
  const v1::Program program = MakeSmallProgram(Quantized()).program;
  const std::uint64_t whole = PackedBytes(program, 0, 4);
  const std::uint64_t parts = PackedBytes(program, 0, 2) + PackedBytes(program, 2, 2);
  const std::uint64_t table = WeightBytes(program.weights(0));
  const std::uint64_t frequencies = 64;  // both layers turn by them
  EXPECT_GE(parts, whole + frequencies + table);
  EXPECT_LE(parts, whole + frequencies + table + 64U * 16);
  for (std::uint32_t first = 0; first < 4; ++first) {
    EXPECT_EQ(PackedBytes(program, first, 1),
              Memory(ExtractShard(program, first, 1), SmallLimits()).weight_bytes);
  }
}

TEST(Memory, DoesNotOverflowWhateverThePlan) {
  SmallModel model;
  model.context = 1U << 24U;
  v1::Program program = MakeSmallProgram(model).program;
  v1::Limits limits;
  limits.set_max_rows(1U << 16U);
  limits.set_max_outputs(1U << 16U);
  limits.set_max_sequences(1U << 16U);
  limits.set_pages(1U << 24U);
  limits.set_page_positions(1U << 16U);
  const MemoryNeed need = Memory(program, limits);
  EXPECT_GE(need.total, need.cache_bytes);
  EXPECT_GE(need.cache_bytes, std::uint64_t{1} << 40U);
  EXPECT_LE(need.total, std::uint64_t{1} << 62U);
}

TEST(Cost, CountsWhatABlockReadsAndMultiplies) {
  const v1::Program program = MakeSmallProgram(Quantized()).program;
  const std::vector<BlockCost> costs = BlockCosts(program);
  ASSERT_EQ(costs.size(), 4U);
  EXPECT_EQ(costs[1].name, "layer.0");
  // q, k, v, out, gate, up, down.
  EXPECT_EQ(costs[1].token_multiplies, 64U * (128 + 64 + 64) + 128 * 64 + 3 * 64 * 96);
  EXPECT_EQ(costs[1].output_multiplies, 0U);
  EXPECT_EQ(costs[1].read_bytes.at(v1::ENCODING_Q4_0), costs[1].token_multiplies / 32 * 18);
  EXPECT_EQ(costs[1].cache_bytes_per_position, 2U * 64 * 4);
  EXPECT_EQ(costs[1].attention_multiplies, 4U * 64);
  EXPECT_EQ(costs[1].crossing_bytes_per_token, 64U * 4);
  EXPECT_EQ(costs[3].output_multiplies, 50U * 64);
  EXPECT_EQ(costs[3].token_multiplies, 0U);
  EXPECT_EQ(costs[3].crossing_bytes_per_token, 0U);
  // One row of the table, not all of it.
  EXPECT_EQ(costs[0].read_bytes.at(v1::ENCODING_Q4_0), 64U / 32 * 18);
}

TEST(Print, NamesBlocksOperationsAndWeights) {
  SmallModel model = Quantized();
  model.layers = 4;
  const std::string text = PrintProgram(MakeSmallProgram(model).program);
  EXPECT_NE(text.find("block layer.0 .. layer.3 (4 alike)"), std::string::npos) << text;
  EXPECT_NE(text.find("linear(layer.0.q q4_0 [128, 64], a8/32, 2 segments)"), std::string::npos)
      << text;
  EXPECT_NE(text.find("hidden.0 -> hidden.1"), std::string::npos) << text;
  EXPECT_NE(text.find("sample()"), std::string::npos) << text;
}

}  // namespace
}  // namespace bramble::program
