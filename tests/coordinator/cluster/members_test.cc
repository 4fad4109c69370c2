#include "coordinator/cluster/members.h"

#include <gtest/gtest.h>

namespace bramble::coordinator {
namespace {

using std::chrono::milliseconds;

v1::NodeFacts FactsOf(const std::string& address) {
  v1::NodeFacts facts;
  facts.set_address(address);
  facts.set_memory_limit_bytes(1000);
  return facts;
}

class MembersTest : public testing::Test {
 protected:
  MembersTest() {
    members_.SetListener([this] { ++changes_; });
  }
  bool Present(const std::string& node_id) const {
    for (const Member& member : members_.Snapshot()) {
      if (member.node_id == node_id) return member.present;
    }
    ADD_FAILURE() << node_id << " is unknown";
    return false;
  }

  const Members::Clock::time_point start_ = Members::Clock::now();
  Members members_;
  int changes_ = 0;
};

TEST_F(MembersTest, KnowsWhoArrivedAndWhatTheySaid) {
  members_.Arrived("pi-2", 1, FactsOf("10.0.0.2:7070"), start_);
  members_.Arrived("pi-1", 2, FactsOf("10.0.0.1:7070"), start_);
  EXPECT_TRUE(members_.Heard(
      "pi-1", {.epoch = 4, .memory_available_bytes = 77, .round_trip_seconds = 0.5}, start_));
  const auto members = members_.Snapshot();
  ASSERT_EQ(members.size(), 2);
  EXPECT_EQ(members[0].node_id, "pi-1");
  EXPECT_EQ(members[0].facts.address(), "10.0.0.1:7070");
  EXPECT_EQ(members[0].epoch, 4);
  EXPECT_EQ(members[0].memory_available_bytes, 77);
  EXPECT_EQ(members[0].round_trip_seconds, 0.5);
  EXPECT_TRUE(members[1].present);
  EXPECT_EQ(changes_, 2) << "a heartbeat is no change";
}

TEST_F(MembersTest, ASilentMemberIsGoneAfterAWhileAndReturnsWhenHeard) {
  members_.Arrived("pi", 1, FactsOf("a:1"), start_);
  EXPECT_TRUE(members_.Heard("pi", {}, start_ + milliseconds(600)));
  members_.DropSilent(start_ + milliseconds(599) + Members::kSilence);
  EXPECT_TRUE(Present("pi"));
  EXPECT_EQ(changes_, 1);
  members_.DropSilent(start_ + milliseconds(600) + Members::kSilence);
  EXPECT_FALSE(Present("pi"));
  EXPECT_EQ(changes_, 2);
  members_.DropSilent(start_ + milliseconds(5000));
  EXPECT_EQ(changes_, 2) << "it is told once";
  EXPECT_TRUE(members_.Heard("pi", {}, start_ + milliseconds(5100)));
  EXPECT_TRUE(Present("pi"));
  EXPECT_EQ(changes_, 3);
}

TEST_F(MembersTest, AMemberWhoseStreamEndsIsGoneAtOnce) {
  members_.Arrived("pi", 1, FactsOf("a:1"), start_);
  members_.Left("pi", 1);
  EXPECT_FALSE(Present("pi"));
  members_.Left("pi", 1);
  EXPECT_EQ(changes_, 2);
}

TEST_F(MembersTest, AnOldStreamThatEndsLateDoesNotSendANewOneAway) {
  members_.Arrived("pi", 1, FactsOf("a:1"), start_);
  members_.Arrived("pi", 2, FactsOf("a:2"), start_);
  members_.Left("pi", 1);
  EXPECT_TRUE(Present("pi"));
  EXPECT_EQ(members_.Snapshot()[0].facts.address(), "a:2");
  members_.Left("pi", 2);
  EXPECT_FALSE(Present("pi"));
}

TEST_F(MembersTest, AHeartbeatOfAStrangerIsIgnored) {
  EXPECT_FALSE(members_.Heard("nobody", {}, start_));
  EXPECT_TRUE(members_.Snapshot().empty());
  EXPECT_EQ(changes_, 0);
}

TEST_F(MembersTest, AMemberThatWasRemovedIsForgottenAndNotHeardAnyMore) {
  members_.Arrived("pi", 1, FactsOf("a:1"), start_);
  members_.Forget("pi");
  EXPECT_TRUE(members_.Snapshot().empty());
  EXPECT_FALSE(members_.Heard("pi", {}, start_));
  members_.Forget("pi");
  EXPECT_EQ(changes_, 2) << "it is told once";
}

}  // namespace
}  // namespace bramble::coordinator
