#include "common/identity/pinned_root.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <csignal>
#include <thread>

#include "tests/common/identity/cluster_helpers.h"

namespace bramble {
namespace {

using ::testing::HasSubstr;
using testing::TestCluster;
using testing::WhoServer;

std::chrono::steady_clock::time_point In(std::chrono::milliseconds time) {
  return std::chrono::steady_clock::now() + time;
}

// A listener on a free loopback port.
struct Listener {
  File socket{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  HostPort address{"127.0.0.1", 0};

  Listener() {
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof any;
    CHECK(::bind(socket.descriptor(), reinterpret_cast<sockaddr*>(&any), size) == 0);
    CHECK(::listen(socket.descriptor(), 4) == 0);
    CHECK(::getsockname(socket.descriptor(), reinterpret_cast<sockaddr*>(&any), &size) == 0);
    address.port = ntohs(any.sin_port);
  }
};

class PinnedRoot : public ::testing::Test {
 protected:
  PinnedRoot()
      : server_(*MakeServerCredentials(cluster_.AddMember(Role::kCoordinator, kCoordinatorNodeId),
                                       ClientCertificates::kRequested),
                {}) {
    std::signal(SIGPIPE, SIG_IGN);  // as BlockStopSignals does in the daemons
  }

  HostPort Address() const { return {"127.0.0.1", static_cast<std::uint16_t>(server_.port())}; }

  TestCluster cluster_;
  WhoServer server_;
};

TEST_F(PinnedRoot, IsTheRootOfTheClusterThatMadeTheToken) {
  const auto root =
      FetchPinnedRoot(Address(), cluster_.authority().fingerprint(), In(std::chrono::seconds(10)));
  ASSERT_TRUE(root.ok()) << root.status().message();
  EXPECT_EQ(*root, cluster_.authority().root_pem());
  // And with it the first verified connection.
  EXPECT_EQ(server_.Ask(MakeJoinCredentials(*root), kCoordinatorNodeId).status().code(),
            Code::kUnauthenticated);
}

TEST_F(PinnedRoot, IsRefusedUnderAnotherFingerprint) {
  const TestCluster other;
  const auto root =
      FetchPinnedRoot(Address(), other.authority().fingerprint(), In(std::chrono::seconds(10)));
  EXPECT_EQ(root.status().code(), Code::kPermissionDenied);
  EXPECT_THAT(root.status().message(), HasSubstr("does not belong to the cluster"));
}

TEST_F(PinnedRoot, IsNotFetchedFromWhoDoesNotSpeakTls) {
  const Listener listener;
  std::thread peer([&] {
    const File connection(::accept(listener.socket.descriptor(), nullptr, nullptr));
    [[maybe_unused]] const ssize_t sent =
        ::send(connection.descriptor(), "220 hello\r\n", 11, MSG_NOSIGNAL);
  });
  const auto root =
      FetchPinnedRoot(listener.address, std::string(64, 'a'), In(std::chrono::seconds(10)));
  EXPECT_EQ(root.status().code(), Code::kUnavailable);
  EXPECT_THAT(root.status().message(), HasSubstr("does not speak TLS"));
  peer.join();
}

TEST_F(PinnedRoot, IsNotWaitedForBeyondTheDeadline) {
  const Listener silent;  // connections wait in its queue for ever
  const auto root =
      FetchPinnedRoot(silent.address, std::string(64, 'a'), In(std::chrono::milliseconds(100)));
  EXPECT_EQ(root.status().code(), Code::kDeadlineExceeded);
}

TEST_F(PinnedRoot, SaysWhenNobodyListens) {
  HostPort address;
  {
    const Listener gone;
    address = gone.address;
  }
  const auto root = FetchPinnedRoot(address, std::string(64, 'a'), In(std::chrono::seconds(10)));
  EXPECT_EQ(root.status().code(), Code::kUnavailable);
  EXPECT_THAT(root.status().message(), HasSubstr(address.ToString()));
}

}  // namespace
}  // namespace bramble
