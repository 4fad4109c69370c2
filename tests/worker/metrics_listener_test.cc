#include "worker/metrics_listener.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <vector>

#include "common/files.h"
#include "common/identity/tls_server.h"
#include "tests/identities.h"
#include "worker/metrics_answer.h"

namespace bramble::worker {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

// A plain connection to a port of this machine.
File Connect(std::uint16_t port) {
  File socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const timeval patience{20, 0};
  setsockopt(socket.descriptor(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  EXPECT_EQ(connect(socket.descriptor(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  return socket;
}

std::string ReadAll(const File& socket) {
  std::string all;
  char buffer[4096];
  while (true) {
    const ssize_t count = recv(socket.descriptor(), buffer, sizeof buffer, 0);
    if (count <= 0) return all;
    all.append(buffer, static_cast<std::size_t>(count));
  }
}

void SendAll(const File& socket, const std::string& bytes) {
  // A server that has had enough may have gone away.
  static_cast<void>(send(socket.descriptor(), bytes.data(), bytes.size(), MSG_NOSIGNAL));
}

class Metrics : public testing::Test {
 protected:
  std::unique_ptr<MetricsListener> Serve(const std::string& host, IdentityStore identities) {
    auto listener = MetricsListener::Start({.listen = {host, 0},
                                            .identities = std::move(identities),
                                            .metrics = [] { return std::string("a_metric 1\n"); },
                                            .healthy = [this] { return healthy_.load(); }});
    EXPECT_TRUE(listener.ok()) << listener.status().message();
    return *std::move(listener);
  }
  std::unique_ptr<MetricsListener> ServePlain() { return Serve("127.0.0.1", IdentityStore("")); }

  static std::string Ask(std::uint16_t port, const std::string& request) {
    const File socket = Connect(port);
    SendAll(socket, request);
    return ReadAll(socket);
  }

  std::atomic<bool> healthy_{true};
};

TEST_F(Metrics, AnOrdinaryScrapeIsAnswered) {
  const auto listener = ServePlain();
  EXPECT_FALSE(listener->tls());
  const std::string reply =
      Ask(listener->address().port, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(reply, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(reply, HasSubstr("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
  EXPECT_THAT(reply, HasSubstr("Content-Length: 11\r\n"));
  EXPECT_THAT(reply, HasSubstr("\r\n\r\na_metric 1\n"));
}

TEST_F(Metrics, HealthIsWhatTheWorkerSays) {
  const auto listener = ServePlain();
  const std::string request = "GET /health HTTP/1.1\r\n\r\n";
  EXPECT_THAT(Ask(listener->address().port, request), StartsWith("HTTP/1.1 200 "));
  healthy_ = false;
  EXPECT_THAT(Ask(listener->address().port, request), StartsWith("HTTP/1.1 503 "));
}

TEST_F(Metrics, WhatIsNoScrapeIsRefusedInWords) {
  const auto listener = ServePlain();
  struct Case {
    std::string request;
    const char* status;
  };
  for (const Case& c : std::vector<Case>{{"POST /metrics HTTP/1.1\r\n\r\n", "405"},
                                         {"GET / HTTP/1.1\r\n\r\n", "404"},
                                         {"GET /metrics?x=1 HTTP/1.0\r\n\r\n", "200"},
                                         {"HEAD /metrics HTTP/1.1\r\n\r\n", "200"},
                                         {"GET /metrics SPDY/3\r\n\r\n", "400"},
                                         {"GET metrics HTTP/1.1\r\n\r\n", "400"},
                                         {"\r\n\r\n", "400"},
                                         {std::string("\0\0 \0\r\n\r\n", 8), "400"},
                                         {std::string(20000, 'a'), "431"}}) {
    EXPECT_THAT(Ask(listener->address().port, c.request),
                StartsWith(std::string("HTTP/1.1 ") + c.status))
        << c.request.substr(0, 40);
  }
}

TEST_F(Metrics, SilentClientsKeepNobodyFromAnAnswer) {
  const auto listener = ServePlain();
  std::vector<File> silent;
  for (std::size_t i = 0; i < 2 * MetricsListener::kConnections; ++i) {
    silent.push_back(Connect(listener->address().port));
    SendAll(silent.back(), "GET /met");
  }
  EXPECT_THAT(Ask(listener->address().port, "GET /metrics HTTP/1.1\r\n\r\n"),
              StartsWith("HTTP/1.1 200 "));
  EXPECT_EQ(ReadAll(silent.front()), "") << "the oldest had to make room";
}

TEST_F(Metrics, AnAddressThatIsTakenIsRefused) {
  const auto listener = ServePlain();
  const auto second = MetricsListener::Start({.listen = listener->address(),
                                              .identities = IdentityStore(""),
                                              .metrics = {},
                                              .healthy = {}});
  EXPECT_EQ(second.status().code(), Code::kFailedPrecondition) << second.status().message();
  EXPECT_THAT(second.status().message(), HasSubstr(listener->address().ToString()));
}

// One request over TLS, with the certificate of `client` if it is not null. Empty when the
// handshake or the request fails.
std::string AskTls(std::uint16_t port, const IdentityStore& root, const IdentityStore* client,
                   const std::string& request) {
  const TlsContextPtr context(SSL_CTX_new(TLS_client_method()));
  EXPECT_EQ(SSL_CTX_load_verify_locations(context.get(), root.root_path().c_str(), nullptr), 1);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  if (client != nullptr) {
    EXPECT_EQ(SSL_CTX_use_certificate_chain_file(context.get(), client->chain_path().c_str()), 1);
    EXPECT_EQ(
        SSL_CTX_use_PrivateKey_file(context.get(), client->key_path().c_str(), SSL_FILETYPE_PEM),
        1);
  }
  const File socket = Connect(port);
  const TlsSessionPtr session(SSL_new(context.get()));
  // The name that Prometheus expects of every worker.
  EXPECT_EQ(SSL_set1_host(session.get(), "worker.bramble"), 1);
  EXPECT_EQ(SSL_set_fd(session.get(), socket.descriptor()), 1);
  std::string reply;
  if (SSL_connect(session.get()) == 1 &&
      SSL_write(session.get(), request.data(), static_cast<int>(request.size())) > 0) {
    char buffer[4096];
    for (int count = 0; (count = SSL_read(session.get(), buffer, sizeof buffer)) > 0;)
      reply.append(buffer, static_cast<std::size_t>(count));
  }
  return reply;
}

class TlsMetrics : public Metrics {
 protected:
  TestAuthority authority_;
  const IdentityStore worker_ = authority_.Issue(Role::kWorker, "pi-1");
};

TEST_F(TlsMetrics, OffLoopbackOnlyMembersSeeMetrics) {
  const IdentityStore scraper = authority_.Issue(Role::kClient, "prometheus");
  const auto listener = Serve("0.0.0.0", worker_);
  EXPECT_TRUE(listener->tls());
  const std::string request = "GET /metrics HTTP/1.1\r\n\r\n";
  const std::uint16_t port = listener->address().port;
  EXPECT_THAT(AskTls(port, worker_, &scraper, request), HasSubstr("\r\n\r\na_metric 1\n"));
  EXPECT_THAT(AskTls(port, worker_, nullptr, request), StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(AskTls(port, worker_, nullptr, "GET /health HTTP/1.1\r\n\r\n"),
              StartsWith("HTTP/1.1 200 "));
  EXPECT_EQ(Ask(port, request).find("a_metric"), std::string::npos) << "no plain HTTP here";
  TestAuthority stranger;
  const IdentityStore foreign = stranger.Issue(Role::kClient, "prometheus");
  EXPECT_EQ(AskTls(port, worker_, &foreign, request), "");
}

TEST_F(TlsMetrics, FollowsARenewedIdentity) {
  const auto listener = Serve("0.0.0.0", worker_);
  TestAuthority other;
  const IdentityStore scraper = other.Issue(Role::kClient, "prometheus");
  const auto moved = other.Issue(Role::kWorker, "pi-1").Load();
  ASSERT_TRUE(moved.ok());
  ASSERT_TRUE(worker_.Save(*moved).ok());
  EXPECT_THAT(AskTls(listener->address().port, worker_, &scraper, "GET /metrics HTTP/1.1\r\n\r\n"),
              StartsWith("HTTP/1.1 200 "));
}

}  // namespace
}  // namespace bramble::worker
