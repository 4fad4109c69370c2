#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/files.h"
#include "common/identity/authority.h"
#include "common/identity/node_identity.h"
#include "coordinator/api/server.h"
#include "tests/coordinator/api/raw_client.h"

namespace bramble::coordinator {
namespace {

class Greeter final : public HttpHandler {
 public:
  std::optional<HttpReply> Refuse(const HttpRequest& /*head*/) override { return std::nullopt; }
  void Handle(HttpRequest request, std::shared_ptr<Exchange> exchange) override {
    exchange->Reply({200, "text/plain", "hello " + request.body, {}, false});
  }
  HttpReply Error(unsigned status, std::string_view message) override {
    return {status, "text/plain", std::string(message), {}, false};
  }
  void Answered(const HttpRequest& /*request*/, unsigned /*status*/, double /*seconds*/,
                bool /*left*/) override {}
};

// What one request gets over TLS, from a client that trusts `root_file` only.
std::string AskOverTls(const std::string& address, const std::string& root_file,
                       const std::string& request) {
  SSL_CTX* context = SSL_CTX_new(TLS_client_method());
  SSL_CTX_load_verify_locations(context, root_file.c_str(), nullptr);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  const std::size_t colon = address.rfind(':');
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(std::stoi(address.substr(colon + 1))));
  inet_pton(AF_INET, address.substr(0, colon).c_str(), &to.sin_addr);
  const int descriptor = socket(AF_INET, SOCK_STREAM, 0);
  SSL* tls = SSL_new(context);
  std::string reply;
  if (connect(descriptor, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0) {
    SSL_set_fd(tls, descriptor);
    if (SSL_connect(tls) == 1) {
      SSL_write(tls, request.data(), static_cast<int>(request.size()));
      char bytes[4096];
      for (int count = 0; (count = SSL_read(tls, bytes, sizeof bytes)) > 0;) {
        reply.append(bytes, static_cast<std::size_t>(count));
      }
    }
  }
  SSL_free(tls);
  SSL_CTX_free(context);
  close(descriptor);
  return reply;
}

TEST(HttpOverTls, AnswersWhoTrustsTheCertificate) {
  auto folder = TemporaryFolder::Make();
  ASSERT_TRUE(folder.ok());
  const auto authority = CertificateAuthority::Create(folder->path() + "/ca");
  ASSERT_TRUE(authority.ok()) << authority.status().message();
  const auto key = MakeKeyAndRequest("coordinator");
  ASSERT_TRUE(key.ok());
  const auto issued = authority->Issue(key->request_der, Role::kCoordinator, kCoordinatorNodeId);
  ASSERT_TRUE(issued.ok()) << issued.status().message();
  HttpOptions options;
  options.tls_certificate_file = folder->path() + "/chain.pem";
  options.tls_key_file = folder->path() + "/key.pem";
  const std::string root_file = folder->path() + "/root.pem";
  Greeter greeter;
  EXPECT_THAT(HttpServer::Start(options, greeter).status().message(),
              testing::HasSubstr("chain.pem"));
  ASSERT_TRUE(WriteFileAtomically(options.tls_certificate_file, issued->chain_pem).ok());
  EXPECT_THAT(HttpServer::Start(options, greeter).status().message(),
              testing::HasSubstr("key.pem"));
  ASSERT_TRUE(WriteFileAtomically(options.tls_key_file, key->key_pem, 0600).ok());
  ASSERT_TRUE(WriteFileAtomically(root_file, authority->root_pem()).ok());
  const auto server = HttpServer::Start(options, greeter);
  ASSERT_TRUE(server.ok()) << server.status().message();
  const std::string reply = AskOverTls((*server)->address(), root_file,
                                       "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                                       "Content-Length: 5\r\n\r\nworld");
  EXPECT_THAT(reply, testing::EndsWith("\r\n\r\nhello world"));

  // A client that speaks plain HTTP gets no answer, and does no harm.
  RawClient plain((*server)->address());
  plain.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(plain.ReadReply().status, 0);
  EXPECT_THAT(AskOverTls((*server)->address(), root_file, "GET / HTTP/1.0\r\n\r\n"),
              testing::EndsWith("hello "));
}

}  // namespace
}  // namespace bramble::coordinator
