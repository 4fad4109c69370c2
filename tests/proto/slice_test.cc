// Programs of the members of a group.
#include "proto/program/slice.h"

#include <gtest/gtest.h>

#include <map>
#include <numeric>
#include <string>
#include <vector>

#include "proto/program/check.h"
#include "proto/program/memory.h"
#include "proto/program/schedule.h"
#include "tests/proto/lies.h"
#include "tests/proto/small_program.h"

namespace bramble::program {
namespace {

using testing::Lie;
using testing::MakeSmallProgram;
using testing::SmallModel;

// Names a part by what it is a part of.
Result<std::string> HashOf(const v1::Weight& weight, std::uint64_t first, std::uint64_t count) {
  std::string hash = weight.sha256();
  hash[8] = static_cast<char>(first);
  hash[9] = static_cast<char>(count);
  return hash;
}

std::vector<v1::Program> Slices(const v1::Program& program, std::vector<std::uint32_t> shares,
                                std::uint64_t smallest = 1) {
  SliceOptions options;
  options.shares = std::move(shares);
  options.smallest_product = smallest;
  std::vector<v1::Program> slices;
  for (std::uint32_t member = 0; member < options.shares.size(); ++member) {
    Result<v1::Program> slice = MakeSlice(program, options, member, HashOf);
    EXPECT_TRUE(slice.ok()) << slice.status().message();
    slices.push_back(*std::move(slice));
  }
  return slices;
}

std::vector<SmallModel> Variations() {
  std::vector<SmallModel> models(7);
  models[1].encoding = v1::ENCODING_Q4_0;
  models[1].input_form = v1::INPUT_FORM_A8_32;
  models[2].window = 7;
  models[2].soft_cap = 30;
  models[3].learned_positions = true;
  models[3].biases = true;
  models[3].norm = v1::Norm::KIND_LAYER;
  models[4].slopes_and_sinks = true;
  models[5].moe = testing::SmallExperts();
  models[6].encoding = v1::ENCODING_Q8_0;
  models[6].input_form = v1::INPUT_FORM_A8_32;
  models[6].vocabulary = 64;
  return models;
}

std::map<std::uint32_t, const v1::Operation*> MeetingsOf(const v1::Program& program) {
  std::map<std::uint32_t, const v1::Operation*> meetings;
  for (const v1::Block& block : program.blocks()) {
    for (const v1::Operation& op : block.operations()) {
      if (op.has_meet()) meetings[op.meet().number()] = &op;
    }
  }
  return meetings;
}

TEST(Slice, OfEveryMemberIsAProgram) {
  for (const SmallModel& model : Variations()) {
    for (const auto& shares : std::vector<std::vector<std::uint32_t>>{
             {1, 1}, {3, 1, 2}, {0, 1}, {1, 0}, {1, 1, 1, 1, 1}, {1000, 1}}) {
      const v1::Program program = MakeSmallProgram(model).program;
      for (const v1::Program& slice : Slices(program, shares)) {
        const Status status = CheckProgram(slice);
        EXPECT_TRUE(status.ok()) << status.message();
      }
    }
  }
}

// Whoever brings columns to a meeting says so as all others expect it.
TEST(Slice, AllMembersMeetAlike) {
  for (const SmallModel& model : Variations()) {
    const std::vector<v1::Program> slices = Slices(MakeSmallProgram(model).program, {2, 1, 0, 1});
    std::map<std::uint32_t, v1::Meet> known;
    std::vector<std::map<std::uint32_t, const v1::Operation*>> meetings;
    for (const v1::Program& slice : slices) meetings.push_back(MeetingsOf(slice));
    for (std::uint32_t member = 0; member < slices.size(); ++member) {
      for (const auto& [number, op] : meetings[member]) {
        v1::Meet meet = op->meet();
        EXPECT_EQ(meet.member(), member);
        meet.set_member(0);
        const auto found = known.try_emplace(number, meet).first;
        EXPECT_EQ(found->second.SerializeAsString(), meet.SerializeAsString());
      }
    }
    EXPECT_GE(known.size(), 4U);
    for (const auto& [number, meet] : known) {
      for (std::uint32_t member = 0; member < slices.size(); ++member) {
        const bool receives = !meet.has_receiver() || meet.receiver() == member;
        const bool brings = meet.columns(static_cast<int>(member)) > 0;
        EXPECT_EQ(meetings[member].count(number) > 0, receives || brings);
      }
    }
  }
}

TEST(Slice, MembersHoldEachMatrixAndCacheOnce) {
  const v1::Program program = MakeSmallProgram(SmallModel{}).program;
  std::map<std::string, std::uint64_t> rows;
  std::map<std::string, std::uint32_t> heads;
  for (const v1::Program& slice : Slices(program, {1, 1})) {
    for (const v1::Weight& weight : slice.weights()) {
      if (weight.shape_size() == 2) rows[weight.name()] += weight.shape(0);
    }
    for (const v1::Cache& cache : slice.caches())
      heads[cache.name()] += cache.key_value().kv_heads();
  }
  for (const v1::Weight& weight : program.weights()) {
    if (weight.shape_size() != 2) continue;
    // Member 0 looks up for all in the table, which is also the head's matrix: of that the other
    // has the second half.
    const std::uint64_t extra = weight.name() == "table" ? weight.shape(0) / 2 : 0;
    EXPECT_EQ(rows[weight.name()], weight.shape(0) + extra) << weight.name();
  }
  for (const v1::Cache& cache : program.caches()) {
    EXPECT_EQ(heads[cache.name()], cache.key_value().kv_heads());
  }
}

TEST(Slice, OnlyMemberZeroDraws) {
  const std::vector<v1::Program> slices = Slices(MakeSmallProgram({}).program, {1, 1, 1});
  for (std::size_t member = 0; member < slices.size(); ++member) {
    int samples = 0;
    for (const v1::Operation& op : slices[member].blocks(3).operations())
      samples += op.has_sample();
    EXPECT_EQ(samples, member == 0 ? 1 : 0);
  }
}

TEST(Slice, LeavesSmallProductsToEveryMember) {
  const v1::Program program = MakeSmallProgram({}).program;
  for (const v1::Program& slice : Slices(program, {1, 1}, 1U << 20U)) {
    EXPECT_TRUE(MeetingsOf(slice).empty());
    EXPECT_EQ(slice.weights_size(), program.weights_size());
  }
}

TEST(Slice, SendsQuantizedWhatOnlyQuantizedProductsRead) {
  SmallModel model;
  model.encoding = v1::ENCODING_Q8_0;
  model.input_form = v1::INPUT_FORM_A8_32;
  std::map<v1::InputForm, int> forms;
  const std::vector<v1::Program> slices = Slices(MakeSmallProgram(model).program, {1, 1});
  for (const auto& [number, op] : MeetingsOf(slices[0])) ++forms[op->meet().form()];
  // In each of two layers the attention's output and the product of gate and up; as they are: what
  // is added to the stream, twice a layer, the table's rows and the logits.
  EXPECT_EQ(forms[v1::INPUT_FORM_A8_32], 2 * 2);
  EXPECT_EQ(forms[v1::INPUT_FORM_F32], 2 * 2 + 2);
}

TEST(Slice, FailsAsItsHashDoes) {
  SliceOptions options;
  options.shares = {1, 1};
  options.smallest_product = 1;
  const auto fail = [](const v1::Weight&, std::uint64_t, std::uint64_t) -> Result<std::string> {
    return Unavailable("the file is gone");
  };
  const Result<v1::Program> slice = MakeSlice(MakeSmallProgram({}).program, options, 0, fail);
  ASSERT_FALSE(slice.ok());
  EXPECT_EQ(slice.status().message(), "the file is gone");
}

// A member that waited for a later meeting first would not bring what others need for an earlier.
TEST(Slice, IsScheduledInTheOrderOfItsMeetings) {
  for (const SmallModel& model : Variations()) {
    for (const v1::Program& slice : Slices(MakeSmallProgram(model).program, {1, 0, 2})) {
      const Schedule schedule = MakeSchedule(slice);
      std::map<std::uint32_t, std::uint32_t> levels;
      for (const Node& node : schedule.nodes) {
        if (node.kind != NodeKind::kOperation) continue;
        const v1::Operation& op =
            slice.blocks(static_cast<int>(node.block)).operations(static_cast<int>(node.operation));
        if (op.has_meet()) levels[op.meet().number()] = node.level;
      }
      std::uint32_t last = 0;
      for (const auto& [number, level] : levels) {
        EXPECT_GE(level, last) << "meeting " << number;
        last = level;
      }
    }
  }
}

v1::Operation& FirstMeeting(v1::Program& program) {
  for (v1::Block& block : *program.mutable_blocks()) {
    for (v1::Operation& op : *block.mutable_operations()) {
      if (op.has_meet() && op.inputs_size() > 0 && op.outputs_size() > 0) return op;
    }
  }
  ADD_FAILURE() << "no meeting";
  return *program.mutable_blocks(0)->mutable_operations(0);
}

TEST(CheckMeet, RefusesLies) {
  SmallModel model;
  model.encoding = v1::ENCODING_Q8_0;
  model.input_form = v1::INPUT_FORM_A8_32;
  const v1::Program slice = Slices(MakeSmallProgram(model).program, {1, 1})[0];
  ASSERT_TRUE(CheckProgram(slice).ok());
  const auto meet = [](v1::Program& p) -> v1::Meet& { return *FirstMeeting(p).mutable_meet(); };
  const Lie lies[] = {
      {"one member", [&](auto& p) { meet(p).mutable_columns()->Truncate(1); }, "", "of 1 members"},
      {"a member beyond", [&](auto& p) { meet(p).set_member(2); }, "", "member is 2 of 2"},
      {"a receiver beyond", [&](auto& p) { meet(p).set_receiver(2); }, "", "receiver is 2 of 2"},
      {"no form", [&](auto& p) { meet(p).set_form(v1::INPUT_FORM_UNSPECIFIED); }, "", "form 0"},
      {"more columns than it has", [&](auto& p) { meet(p).set_columns(0, 128); }, "", "wide"},
      {"more columns of another", [&](auto& p) { meet(p).set_columns(1, 96); }, "", "wide"},
      {"columns that wrap", [&](auto& p) { meet(p).set_columns(1, ~0U); }, "", "wide"},
      {"no output", [&](auto& p) { FirstMeeting(p).clear_outputs(); }, "", "outputs"},
      {"a receiver elsewhere", [&](auto& p) { meet(p).set_receiver(1); }, "", "outputs"},
      {"a form that its readers do not take",
       [&](auto& p) { meet(p).set_form(v1::INPUT_FORM_A8_32); }, "", "comes in the form A8_32"},
      {"a number that falls", [&](auto& p) { meet(p).set_number(1000); }, "",
       "follows 1000, numbers must rise"},
  };
  for (const Lie& lie : lies) {
    v1::Program liar = slice;
    lie.tell(liar);
    const Status status = CheckProgram(liar);
    ASSERT_FALSE(status.ok()) << lie.what;
    EXPECT_NE(status.message().find(lie.reason), std::string::npos)
        << lie.what << ": " << status.message();
  }
}

}  // namespace
}  // namespace bramble::program
