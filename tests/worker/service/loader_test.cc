#include "worker/service/loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "proto/program/memory.h"
#include "proto/program/slice.h"
#include "tests/proto/small_program.h"

namespace bramble::worker {
namespace {

using ::testing::HasSubstr;

v1::LoadRequest GoodRequest() {
  v1::LoadRequest request;
  request.set_epoch(1);
  *request.mutable_program() =
      bramble::testing::SmallProgramBuilder(bramble::testing::SmallModel{}).Build().program;
  request.mutable_limits()->set_max_rows(8);
  request.mutable_limits()->set_max_outputs(8);
  request.mutable_limits()->set_max_sequences(2);
  request.mutable_limits()->set_pages(4);
  request.mutable_limits()->set_page_positions(16);
  request.set_first(true);
  request.set_last(true);
  return request;
}

struct BadRequest {
  const char* says;
  std::function<void(v1::LoadRequest&)> spoil;
};

TEST(CheckLoadRequest, RefusesARequestThatDoesNotHoldTogether) {
  const BadRequest cases[] = {
      {"epoch", [](auto& r) { r.set_epoch(0); }},
      {"previous", [](auto& r) { r.set_previous("pi"); }},
      {"previous", [](auto& r) { r.set_first(false); }},
      {"previous",
       [](auto& r) {
         r.set_first(false);
         r.set_previous("../pi");
       }},
      {"next", [](auto& r) { r.set_last(false); }},
      {"next", [](auto& r) { r.mutable_next()->set_node_id("pi"); }},
      {"next.address",
       [](auto& r) {
         r.set_last(false);
         r.mutable_next()->set_node_id("pi");
         r.mutable_next()->set_address("nowhere");
       }},
      {"max_rows", [](auto& r) { r.mutable_limits()->set_max_rows(0); }},
      {"version", [](auto& r) { r.mutable_program()->set_version(99); }},
  };
  EXPECT_TRUE(CheckLoadRequest(GoodRequest()).ok());
  for (const BadRequest& c : cases) {
    v1::LoadRequest request = GoodRequest();
    c.spoil(request);
    const Status status = CheckLoadRequest(request);
    ASSERT_FALSE(status.ok()) << c.says;
    EXPECT_THAT(status.message(), HasSubstr(c.says));
  }
}

v1::LoadRequest GoodSlice(std::uint32_t member) {
  v1::LoadRequest request = GoodRequest();
  program::SliceOptions options;
  options.shares = {1, 1};
  options.smallest_product = 1;
  *request.mutable_program() =
      *program::MakeSlice(request.program(), options, member,
                          [](const v1::Weight& weight, std::uint64_t,
                             std::uint64_t) -> Result<std::string> { return weight.sha256(); });
  for (const char* name : {"pi-1", "pi-2"}) {
    v1::Peer& peer = *request.add_members();
    peer.set_node_id(name);
    peer.set_address("10.0.0.1:8477");
  }
  request.set_member(member);
  request.set_first(member == 0);
  request.set_last(member == 0);
  return request;
}

TEST(CheckLoadRequest, RefusesASliceThatDoesNotHoldTogether) {
  const BadRequest cases[] = {
      {"member is 2 of 2",
       [](auto& r) {
         r = GoodSlice(1);
         r.set_member(2);
       }},
      {"of member 1 of 2, the request of member 0 of 2",
       [](auto& r) {
         r = GoodSlice(1);
         r.set_member(0);
         r.set_first(true);
         r.set_last(true);
       }},
      {"the first member's", [](auto& r) { r.set_member(1); }},
      {"members.node_id", [](auto& r) { r.mutable_members(1)->set_node_id("../pi"); }},
      {"members.address", [](auto& r) { r.mutable_members(1)->clear_address(); }},
      {"the program is a slice", [](auto& r) { r.clear_members(); }},
      {"the program is no slice", [](auto& r) { *r.mutable_program() = GoodRequest().program(); }},
      {"the request of member 0 of 3", [](auto& r) { *r.add_members() = r.members(0); }},
  };
  for (const std::uint32_t member : {0U, 1U}) {
    const Status good = CheckLoadRequest(GoodSlice(member));
    EXPECT_TRUE(good.ok()) << good.message();
  }
  for (const BadRequest& c : cases) {
    v1::LoadRequest request = GoodSlice(0);
    c.spoil(request);
    const Status status = CheckLoadRequest(request);
    ASSERT_FALSE(status.ok()) << c.says;
    EXPECT_THAT(status.message(), HasSubstr(c.says));
  }
}

TEST(CheckMemory, CountsToTheByteAndShowsTheSum) {
  const v1::LoadRequest request = GoodRequest();
  const auto need = program::Memory(request.program(), request.limits());
  EXPECT_TRUE(CheckMemory(request.program(), request.limits(), need.total + kRestBytes).ok());
  const Status status =
      CheckMemory(request.program(), request.limits(), need.total + kRestBytes - 1);
  EXPECT_EQ(status.code(), Code::kResourceExhausted);
  for (const std::uint64_t bytes :
       {need.weight_bytes, need.cache_bytes, need.buffer_bytes, need.total + kRestBytes}) {
    EXPECT_THAT(status.message(), HasSubstr(std::to_string(bytes).append(" bytes)")));
  }
  EXPECT_THAT(status.message(), HasSubstr("(1 bytes) too little"));
}

TEST(StageSlot, EpochsRiseUntilTheCoordinatorIsGone) {
  ComputeThread thread;
  StageSlot slot;
  const auto make = [&](std::uint64_t epoch) {
    return std::make_shared<Stage>(StageOptions{.epoch = epoch}, &thread, [](Work&) {});
  };
  ASSERT_TRUE(slot.Begin(5).ok());
  const auto five = make(5);
  ASSERT_TRUE(slot.Install(five).ok());
  EXPECT_EQ(slot.epoch(), 5);
  EXPECT_TRUE(slot.Find(5).ok());
  EXPECT_EQ(slot.Find(4).status().code(), Code::kFailedPrecondition);
  EXPECT_EQ(slot.Begin(5).code(), Code::kFailedPrecondition);
  ASSERT_TRUE(slot.Begin(6).ok());
  EXPECT_TRUE(five->ended()) << "the old one is gone before the new one is built";
  EXPECT_EQ(slot.epoch(), 0);
  ASSERT_TRUE(slot.Begin(7).ok());
  EXPECT_FALSE(slot.Install(make(6)).ok()) << "it was overtaken while it was loaded";
  const auto seven = make(7);
  ASSERT_TRUE(slot.Install(seven).ok());
  slot.Drop(Unavailable("the coordinator is gone"));
  EXPECT_TRUE(seven->ended());
  EXPECT_TRUE(slot.Begin(1).ok()) << "another coordinator counts anew";
}

}  // namespace
}  // namespace bramble::worker
