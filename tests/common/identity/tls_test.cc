// Real handshakes over loopback: who gets in, and as whom.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "tests/common/identity/cluster_helpers.h"

namespace bramble {
namespace {

using testing::Expired;
using ::testing::HasSubstr;
using testing::TestCluster;
using testing::UncheckedChannelCredentials;
using testing::UncheckedServerCredentials;
using testing::WhoServer;

// A worker that wants a certificate of every caller, and the coordinator that does not.
class Tls : public ::testing::Test {
 protected:
  std::unique_ptr<WhoServer> StartWorker(std::initializer_list<Role> roles) {
    const IdentityStore store = cluster_.AddMember(Role::kWorker, "pi-1");
    const auto credentials = MakeServerCredentials(store, ClientCertificates::kRequired);
    EXPECT_TRUE(credentials.ok()) << credentials.status().message();
    return std::make_unique<WhoServer>(*credentials, roles);
  }

  std::unique_ptr<WhoServer> StartCoordinator(std::initializer_list<Role> roles) {
    const IdentityStore store = cluster_.AddMember(Role::kCoordinator, kCoordinatorNodeId);
    const auto credentials = MakeServerCredentials(store, ClientCertificates::kRequested);
    EXPECT_TRUE(credentials.ok()) << credentials.status().message();
    return std::make_unique<WhoServer>(*credentials, roles);
  }

  std::shared_ptr<grpc::ChannelCredentials> Member(Role role, const std::string& node_id) {
    const auto credentials = MakeChannelCredentials(cluster_.AddMember(role, node_id));
    EXPECT_TRUE(credentials.ok()) << credentials.status().message();
    return *credentials;
  }

  TestCluster cluster_;
};

TEST_F(Tls, KnowsAMemberByItsCertificate) {
  const auto worker = StartWorker({});
  const auto answer = worker->Ask(Member(Role::kWorker, "pi-2"), "pi-1");
  ASSERT_TRUE(answer.ok()) << answer.status().message();
  EXPECT_EQ(*answer, "worker/pi-2 of " + cluster_.authority().cluster_id());
}

TEST_F(Tls, LetsOnlyTheWantedRoleDoSomething) {
  const auto worker = StartWorker({Role::kCoordinator});
  EXPECT_TRUE(worker->Ask(Member(Role::kCoordinator, kCoordinatorNodeId), "pi-1").ok());
  const auto refused = worker->Ask(Member(Role::kWorker, "pi-2"), "pi-1");
  EXPECT_EQ(refused.status().code(), Code::kPermissionDenied);
  EXPECT_THAT(refused.status().message(), HasSubstr("'pi-2' has the role worker"));
}

TEST_F(Tls, AWorkerRefusesACallerWithoutACertificate) {
  const auto worker = StartWorker({});
  const auto refused = worker->Ask(MakeJoinCredentials(cluster_.authority().root_pem()), "pi-1");
  EXPECT_EQ(refused.status().code(), Code::kUnavailable);
}

TEST_F(Tls, TheCoordinatorHearsACallerWithoutACertificateButKnowsNobody) {
  const auto coordinator = StartCoordinator({});
  const auto refused =
      coordinator->Ask(MakeJoinCredentials(cluster_.authority().root_pem()), kCoordinatorNodeId);
  EXPECT_EQ(refused.status().code(), Code::kUnauthenticated);
  EXPECT_THAT(refused.status().message(), HasSubstr("no certificate"));
  EXPECT_TRUE(coordinator->Ask(Member(Role::kWorker, "pi-2"), kCoordinatorNodeId).ok());
}

TEST_F(Tls, BothRefuseAnExpiredCertificate) {
  const auto expired =
      UncheckedChannelCredentials(cluster_.MakeMember(Role::kWorker, "pi-2", Expired()));
  EXPECT_EQ(StartWorker({})->Ask(expired, "pi-1").status().code(), Code::kUnavailable);
  EXPECT_EQ(StartCoordinator({})->Ask(expired, kCoordinatorNodeId).status().code(),
            Code::kUnavailable);
}

TEST_F(Tls, BothRefuseACertificateOfAnotherCluster) {
  const TestCluster other;
  NodeIdentity foreign = other.MakeMember(Role::kCoordinator, kCoordinatorNodeId);
  foreign.root_pem = cluster_.authority().root_pem();  // it may know our root: that one is public
  const auto credentials = UncheckedChannelCredentials(foreign);
  EXPECT_EQ(StartWorker({})->Ask(credentials, "pi-1").status().code(), Code::kUnavailable);
  EXPECT_EQ(StartCoordinator({})->Ask(credentials, kCoordinatorNodeId).status().code(),
            Code::kUnavailable);
}

TEST_F(Tls, AMemberRefusesAServerThatIsAnotherNode) {
  const auto worker = StartWorker({});
  EXPECT_EQ(worker->Ask(Member(Role::kWorker, "pi-2"), "pi-3").status().code(), Code::kUnavailable);
  EXPECT_EQ(worker->Ask(Member(Role::kWorker, "pi-2"), kCoordinatorNodeId).status().code(),
            Code::kUnavailable);
}

TEST_F(Tls, AMemberRefusesAServerOfAnotherCluster) {
  const TestCluster other;
  const auto credentials = MakeChannelCredentials(other.AddMember(Role::kWorker, "pi-2"));
  EXPECT_EQ(StartWorker({})->Ask(*credentials, "pi-1").status().code(), Code::kUnavailable);
}

TEST_F(Tls, AMemberRefusesAServerWhoseCertificateHasExpired) {
  const WhoServer server(
      UncheckedServerCredentials(cluster_.MakeMember(Role::kWorker, "pi-1", Expired())), {});
  EXPECT_EQ(server.Ask(Member(Role::kWorker, "pi-2"), "pi-1").status().code(), Code::kUnavailable);
}

TEST_F(Tls, RefusesACertificateWithTwoUriNamesOrAnOddOne) {
  const auto coordinator = StartCoordinator({});
  const std::string ours =
      "URI:spiffe://" + cluster_.authority().cluster_id() + ".bramble/worker/odd";
  for (const std::string& names :
       {ours + "," + ours + "2",
        "URI:spiffe://" + cluster_.authority().cluster_id() + ".bramble/king/odd",
        std::string("DNS:odd")}) {
    const auto refused = coordinator->Ask(
        UncheckedChannelCredentials(cluster_.MakeMemberWithNames(names)), kCoordinatorNodeId);
    EXPECT_EQ(refused.status().code(), Code::kUnauthenticated) << names;
  }
}

TEST_F(Tls, DoesNotStartWithAnExpiredIdentity) {
  const IdentityStore store = cluster_.AddMember(Role::kWorker, "pi-1", Expired());
  const auto server = MakeServerCredentials(store, ClientCertificates::kRequired);
  EXPECT_EQ(server.status().code(), Code::kFailedPrecondition);
  EXPECT_THAT(server.status().message(), HasSubstr("expired"));
  EXPECT_EQ(MakeChannelCredentials(store).status().code(), Code::kFailedPrecondition);
  EXPECT_EQ(MakeChannelCredentials(IdentityStore(cluster_.Path("nowhere"))).status().code(),
            Code::kNotFound);
}

TEST_F(Tls, UsesARenewedIdentityWithoutARestart) {
  const WhoServer server(
      *MakeServerCredentials(cluster_.AddMember(Role::kCoordinator, kCoordinatorNodeId),
                             ClientCertificates::kRequired),
      {});
  const IdentityStore store = cluster_.AddMember(Role::kWorker, "pi-1");
  const auto credentials = MakeChannelCredentials(store, /*refresh_seconds=*/1);
  ASSERT_TRUE(credentials.ok());
  EXPECT_THAT(*server.Ask(*credentials, kCoordinatorNodeId), HasSubstr("worker/pi-1 "));
  // Another node id shows which certificate was used; a renewal keeps it in reality.
  ASSERT_TRUE(store.Save(cluster_.MakeMember(Role::kWorker, "pi-9")).ok());
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  std::string seen;
  while (seen.find("pi-9") == std::string::npos && std::chrono::steady_clock::now() < deadline) {
    const auto answer = server.Ask(*credentials, kCoordinatorNodeId);
    ASSERT_TRUE(answer.ok()) << answer.status().message();
    seen = *answer;
  }
  EXPECT_THAT(seen, HasSubstr("worker/pi-9 "));
}

}  // namespace
}  // namespace bramble
