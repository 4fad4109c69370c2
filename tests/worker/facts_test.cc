#include "worker/facts.h"

#include <gtest/gtest.h>

namespace bramble::worker {
namespace {

TEST(Facts, TheAddressIsTheOneGivenTheOneBoundOrTheOneTowardsTheCoordinator) {
  const HostPort coordinator = {.host = "127.0.0.1", .port = 7070};
  struct Case {
    const char* advertise;
    const char* bound;
    const char* expected;
  };
  const Case cases[] = {
      {"", "10.0.0.7", "10.0.0.7:4000"},          {"", "0.0.0.0", "127.0.0.1:4000"},
      {"pi-3.lan", "0.0.0.0", "pi-3.lan:4000"},   {"pi-3.lan:80", "0.0.0.0", "pi-3.lan:80"},
      {"pi-3.lan:0", "0.0.0.0", "pi-3.lan:4000"}, {"fd00::3", "0.0.0.0", "[fd00::3]:4000"},
      {"[fd00::3]", "::", "[fd00::3]:4000"},      {"[fd00::3]:81", "::", "[fd00::3]:81"},
  };
  for (const Case& c : cases) {
    const auto address =
        AdvertisedAddress(c.advertise, {.host = c.bound, .port = 4000}, coordinator);
    ASSERT_TRUE(address.ok()) << address.status().message();
    EXPECT_EQ(address->ToString(), c.expected);
  }
}

TEST(Facts, SayWhatThisMachineIs) {
  EXPECT_GE(TotalMemory(), AvailableMemory());
  EXPECT_GT(AvailableMemory(), 0);
  EXPECT_FALSE(CpuName().empty());
  EXPECT_GE(Cores(), 1);
  ASSERT_FALSE(InstructionSets().empty());
  EXPECT_EQ(InstructionSets().front(), "portable");
}

TEST(Facts, AnUnknownCoordinatorHasNoWayToIt) {
  const auto address = LocalAddressTowards({.host = "no.such.host.invalid", .port = 1});
  ASSERT_FALSE(address.ok());
  EXPECT_EQ(address.status().code(), Code::kUnavailable);
}

}  // namespace
}  // namespace bramble::worker
