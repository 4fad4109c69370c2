#include "common/identity/identity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bramble {
namespace {

using ::testing::HasSubstr;

TEST(NodeId, IsADnsLabel) {
  for (const char* good : {"a", "pi-3", "0", "a--b", "coordinator"})
    EXPECT_TRUE(CheckNodeId(good).ok()) << good;
  EXPECT_TRUE(CheckNodeId(std::string(63, 'a')).ok());
  for (const char* bad : {"", "-a", "a-", "Pi", "a.b", "a b", "a/b", "\x01", "pi_3", "é"}) {
    EXPECT_EQ(CheckNodeId(bad).code(), Code::kInvalidArgument) << bad;
  }
  EXPECT_FALSE(CheckNodeId(std::string(64, 'a')).ok());
}

TEST(NodeId, IsMadeFromAnyWishedName) {
  struct Case {
    std::string wished;
    const char* id;
  };
  const Case cases[] = {{"pi-3", "pi-3"},
                        {"My Pi.local", "my-pi"},
                        {"RASPBERRYPI", "raspberrypi"},
                        {"", "node"},
                        {"...", "node"},
                        {"--a--b--", "a-b"},
                        {"\x1b[31mred", "31mred"},
                        {"été", "t"},
                        {std::string(200, 'x'), nullptr}};
  for (const Case& c : cases) {
    const std::string id = NodeIdFrom(c.wished);
    EXPECT_TRUE(CheckNodeId(id).ok()) << id;
    if (c.id != nullptr) {
      EXPECT_EQ(id, c.id);
    }
  }
}

TEST(SpiffeId, IsWhatItsPartsSay) {
  for (const Role role : {Role::kCoordinator, Role::kWorker, Role::kClient}) {
    const PeerIdentity identity{role, "pi-3", "abc"};
    const auto parsed = ParseSpiffeId(SpiffeId(identity));
    ASSERT_TRUE(parsed.ok());
    EXPECT_EQ(*parsed, identity);
  }
  EXPECT_EQ(SpiffeId({Role::kWorker, "pi-3", "abc"}), "spiffe://abc.bramble/worker/pi-3");
}

TEST(SpiffeId, RefusesEveryOtherForm) {
  for (const char* bad :
       {"", "spiffe://", "https://abc.bramble/worker/pi", "spiffe://abc.bramble",
        "spiffe://abc.bramble/worker", "spiffe://abc.bramble/worker/",
        "spiffe://abc.bramble/worker/pi/", "spiffe://abc.bramble/worker/pi/x",
        "spiffe://abc.bramble/king/pi", "spiffe://abc.bramble//pi", "spiffe://.bramble/worker/pi",
        "spiffe://abc/worker/pi", "spiffe://abc.bramble/worker/..",
        "spiffe://abc.bramble/worker/Pi", "spiffe://abc.bramble/worker/pi?x",
        "spiffe://abc.bramble:1/worker/pi", "spiffe://u@abc.bramble/worker/pi"}) {
    EXPECT_EQ(ParseSpiffeId(bad).status().code(), Code::kUnauthenticated) << bad;
  }
}

TEST(SpiffeId, EscapesAHostileNameInItsError) {
  EXPECT_THAT(ParseSpiffeId("\x1b[2J").status().message(), HasSubstr("\\x1b[2J"));
}

}  // namespace
}  // namespace bramble
