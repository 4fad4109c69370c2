#include "common/identity/node_identity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "tests/common/identity/cluster_helpers.h"

namespace bramble {
namespace {

using std::chrono::hours;
using std::chrono::system_clock;
using ::testing::HasSubstr;
using testing::TestCluster;

TEST(NodeIdentity, SaysWhoItIsAndHowLong) {
  const TestCluster cluster;
  const NodeIdentity identity = cluster.MakeMember(Role::kWorker, "pi-3");
  EXPECT_EQ(identity.who, (PeerIdentity{Role::kWorker, "pi-3", cluster.authority().cluster_id()}));
  const auto now = system_clock::now();
  EXPECT_NEAR(identity.DaysLeft(now), 7, 0.001);
  EXPECT_LT(identity.DaysLeft(now + hours(24 * 8)), 0);
  EXPECT_FALSE(identity.ShouldRenew(now + hours(24 * 4)));
  EXPECT_TRUE(identity.ShouldRenew(now + hours(24 * 5)));
}

TEST(NodeIdentity, RefusesPartsThatDoNotBelongTogether) {
  const TestCluster cluster;
  const TestCluster other;
  const NodeIdentity ours = cluster.MakeMember(Role::kWorker, "pi-3");
  const NodeIdentity theirs = other.MakeMember(Role::kWorker, "pi-3");
  const auto wrong_key = MakeNodeIdentity(theirs.key_pem, ours.chain_pem, ours.root_pem);
  EXPECT_THAT(wrong_key.status().message(), HasSubstr("another key"));
  const auto wrong_root = MakeNodeIdentity(ours.key_pem, ours.chain_pem, theirs.root_pem);
  EXPECT_THAT(wrong_root.status().message(), HasSubstr("did not sign"));
  EXPECT_FALSE(MakeNodeIdentity("", ours.chain_pem, ours.root_pem).ok());
  EXPECT_FALSE(MakeNodeIdentity(ours.key_pem, "", ours.root_pem).ok());
  EXPECT_FALSE(MakeNodeIdentity(ours.key_pem, ours.chain_pem, "").ok());
}

TEST(IdentityStore, KeepsKeyAndCertificateWithTheKeyForItsOwnerOnly) {
  const TestCluster cluster;
  const IdentityStore store(cluster.Path("state/identity"));
  EXPECT_EQ(store.Load().status().code(), Code::kNotFound);
  const NodeIdentity identity = cluster.MakeMember(Role::kWorker, "pi-3");
  ASSERT_TRUE(store.Save(identity).ok());
  const auto loaded = store.Load();
  ASSERT_TRUE(loaded.ok()) << loaded.status().message();
  EXPECT_EQ(loaded->who, identity.who);
  EXPECT_EQ(loaded->serial, identity.serial);
  struct stat facts {};
  ASSERT_EQ(::stat(store.key_path().c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777U, 0600U);
}

TEST(IdentityStore, ReplacesAllPartsAtOnceForAReader) {
  const TestCluster cluster;
  const IdentityStore store = cluster.AddMember(Role::kWorker, "pi-3");
  std::atomic<bool> done = false;
  std::jthread writer([&] {
    for (int i = 0; i < 30; ++i)
      EXPECT_TRUE(store.Save(cluster.MakeMember(Role::kWorker, "pi-3")).ok());
    done = true;
  });
  int loads = 0;
  while (!done) {
    const auto loaded = store.Load();
    ASSERT_TRUE(loaded.ok()) << loaded.status().message();
    ++loads;
  }
  EXPECT_GT(loads, 0);
}

TEST(IdentityStore, LeavesNoPileOfOldKeys) {
  const TestCluster cluster;
  const IdentityStore store = cluster.AddMember(Role::kWorker, "pi-3");
  for (int i = 0; i < 5; ++i)
    ASSERT_TRUE(store.Save(cluster.MakeMember(Role::kWorker, "pi-3")).ok());
  int entries = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(store.folder()))
    ++entries;
  EXPECT_EQ(entries, 3);  // the link, what it points to, and the one before
}

TEST(IdentityStore, NamesItsFolderWhenAFileIsBroken) {
  const TestCluster cluster;
  const IdentityStore store = cluster.AddMember(Role::kWorker, "pi-3");
  ASSERT_TRUE(WriteFileAtomically(store.chain_path(), "rubbish").ok());
  EXPECT_THAT(store.Load().status().message(), HasSubstr(store.folder()));
}

}  // namespace
}  // namespace bramble
