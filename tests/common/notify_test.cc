#include "common/notify.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "common/files.h"
#include "common/sha256.h"

namespace bramble {
namespace {

// What systemd would hear.
class Notify : public ::testing::Test {
 protected:
  void TearDown() override {
    ::unsetenv("NOTIFY_SOCKET");
    ::unsetenv("WATCHDOG_USEC");
    ::unsetenv("WATCHDOG_PID");
  }
  // `name` as in NOTIFY_SOCKET.
  void Listen(const std::string& name) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, name.data(), name.size());
    if (name[0] == '@') address.sun_path[0] = '\0';
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
    ASSERT_EQ(::bind(socket_.descriptor(), reinterpret_cast<sockaddr*>(&address), size), 0);
    ::setenv("NOTIFY_SOCKET", name.c_str(), 1);
  }
  std::string Heard() const {
    std::array<char, 256> text{};
    const ssize_t got = ::recv(socket_.descriptor(), text.data(), text.size(), MSG_DONTWAIT);
    return got < 0 ? "nothing" : std::string(text.data(), static_cast<std::size_t>(got));
  }

  TemporaryFolder folder_ = *TemporaryFolder::Make();
  File socket_{::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
};

TEST_F(Notify, ReachesASocketInTheFileSystem) {
  Listen(JoinPath(folder_.path(), "notify"));
  EXPECT_TRUE(NotifySystemd("READY=1\nSTATUS=serving").ok());
  EXPECT_EQ(Heard(), "READY=1\nSTATUS=serving");
}

TEST_F(Notify, ReachesAnAbstractSocket) {
  Listen("@bramble-test-" + RandomBase32(10));
  EXPECT_TRUE(NotifySystemd("WATCHDOG=1").ok());
  EXPECT_EQ(Heard(), "WATCHDOG=1");
}

TEST_F(Notify, IsSilentWithoutSystemd) {
  ::unsetenv("NOTIFY_SOCKET");
  EXPECT_TRUE(NotifySystemd("READY=1").ok());
}

TEST_F(Notify, SaysWhenTheSocketIsNotThere) {
  ::setenv("NOTIFY_SOCKET", JoinPath(folder_.path(), "gone").c_str(), 1);
  EXPECT_EQ(NotifySystemd("READY=1").code(), Code::kUnavailable);
  ::setenv("NOTIFY_SOCKET", "relative", 1);
  EXPECT_EQ(NotifySystemd("READY=1").code(), Code::kInvalidArgument);
  ::setenv("NOTIFY_SOCKET", ("/" + std::string(200, 'x')).c_str(), 1);
  EXPECT_EQ(NotifySystemd("READY=1").code(), Code::kInvalidArgument);
}

TEST_F(Notify, TheWatchdogIsFedTwiceInItsTimeByTheProcessItWatches) {
  EXPECT_EQ(WatchdogInterval(), std::nullopt);
  ::setenv("WATCHDOG_USEC", "30000000", 1);
  EXPECT_EQ(WatchdogInterval(), std::chrono::seconds(15));
  ::setenv("WATCHDOG_PID", std::to_string(::getpid()).c_str(), 1);
  EXPECT_EQ(WatchdogInterval(), std::chrono::seconds(15));
  ::setenv("WATCHDOG_PID", "1", 1);
  EXPECT_EQ(WatchdogInterval(), std::nullopt);
  ::unsetenv("WATCHDOG_PID");
  for (const char* bad : {"", "x", "-5", "0", "5x"}) {
    ::setenv("WATCHDOG_USEC", bad, 1);
    EXPECT_EQ(WatchdogInterval(), std::nullopt) << bad;
  }
}

}  // namespace
}  // namespace bramble
