#include "common/net.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bramble {
namespace {

using ::testing::HasSubstr;

TEST(HostPort, IsReadAndWritten) {
  struct Case {
    const char* text;
    const char* host;
    std::uint16_t port;
  };
  const Case cases[] = {{"pi-3:7070", "pi-3", 7070},
                        {"192.168.1.4:0", "192.168.1.4", 0},
                        {"[::1]:65535", "::1", 65535},
                        {"my_host.local:1", "my_host.local", 1}};
  for (const Case& c : cases) {
    const auto parsed = ParseHostPort(c.text, "listen");
    ASSERT_TRUE(parsed.ok()) << parsed.status().message();
    EXPECT_EQ(parsed->host, c.host);
    EXPECT_EQ(parsed->port, c.port);
    EXPECT_EQ(parsed->ToString(), c.text);
  }
}

TEST(HostPort, RefusesEveryOtherForm) {
  for (const char* bad : {"", ":", "host", "host:", ":80", "host:65536", "host:-1", "host:80x",
                          "host: 80", "::1:80", "[::1]", "[::1:80", "[host]:80", "ho st:80",
                          "http://host:80", "host/x:80", "a\x1b:80", "[]:80"}) {
    const auto parsed = ParseHostPort(bad, "listen");
    EXPECT_EQ(parsed.status().code(), Code::kInvalidArgument) << bad;
    EXPECT_THAT(parsed.status().message(), HasSubstr("listen"));
  }
}

TEST(ListenAddress, IsLoopbackOnlyIfItSurelyIs) {
  for (const char* host : {"127.0.0.1", "127.5.6.7", "::1", "localhost"})
    EXPECT_TRUE(IsLoopback(host)) << host;
  for (const char* host : {"0.0.0.0", "::", "192.168.1.4", "128.0.0.1", "127.evil.example",
                           "::ffff:127.0.0.1", "pi-3", ""}) {
    EXPECT_FALSE(IsLoopback(host)) << host;
  }
}

TEST(ListenAddress, IsNotPublicWithoutProtection) {
  EXPECT_TRUE(CheckListenAddress({"127.0.0.1", 80}, false, "--http", "give --api-key-file").ok());
  EXPECT_TRUE(CheckListenAddress({"0.0.0.0", 80}, true, "--http", "give --api-key-file").ok());
  const Status refused =
      CheckListenAddress({"0.0.0.0", 80}, false, "--http", "give --api-key-file");
  EXPECT_EQ(refused.code(), Code::kFailedPrecondition);
  EXPECT_THAT(refused.message(), HasSubstr("--http 0.0.0.0:80"));
  EXPECT_THAT(refused.message(), HasSubstr("give --api-key-file"));
}

}  // namespace
}  // namespace bramble
