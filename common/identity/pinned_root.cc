#include "common/identity/pinned_root.h"

#include <fcntl.h>
#include <netdb.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <system_error>

#include "common/check.h"
#include "common/files.h"
#include "common/identity/openssl.h"

namespace bramble {
namespace {

using Deadline = std::chrono::steady_clock::time_point;
using AddressesPtr = std::unique_ptr<addrinfo, FreeWith<freeaddrinfo>>;
using ContextPtr = std::unique_ptr<SSL_CTX, FreeWith<SSL_CTX_free>>;
using SessionPtr = std::unique_ptr<SSL, FreeWith<SSL_free>>;

Status WaitFor(int descriptor, short events, Deadline deadline, const HostPort& address) {
  for (;;) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now())
            .count();
    pollfd wanted{descriptor, events, 0};
    const int ready =
        ::poll(&wanted, 1, static_cast<int>(std::clamp<std::int64_t>(left, 0, 3'600'000)));
    if (ready > 0) return {};
    if (ready == 0) return DeadlineExceeded(address.ToString(), " did not answer in time");
    if (errno != EINTR)
      return Internal("cannot wait for a socket: ", std::generic_category().message(errno));
  }
}

Result<File> ConnectTo(const addrinfo& target, Deadline deadline, const HostPort& address) {
  File socket(::socket(target.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket.valid())
    return Unavailable("cannot make a socket: ", std::generic_category().message(errno));
  int error = ::connect(socket.descriptor(), target.ai_addr, target.ai_addrlen) == 0 ? 0 : errno;
  if (error == EINPROGRESS) {
    RETURN_IF_ERROR(WaitFor(socket.descriptor(), POLLOUT, deadline, address));
    socklen_t size = sizeof error;
    CHECK(::getsockopt(socket.descriptor(), SOL_SOCKET, SO_ERROR, &error, &size) == 0);
  }
  if (error != 0) {
    return Unavailable("cannot connect to ", address.ToString(), ": ",
                       std::generic_category().message(error));
  }
  return socket;
}

// The first of the name's addresses that answers.
Result<File> Connect(const HostPort& address, Deadline deadline) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error =
      ::getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &found);
  if (error != 0)
    return Unavailable("cannot find the address of '", address.host, "': ", ::gai_strerror(error));
  const AddressesPtr addresses(found);
  Status last = Unavailable("'", address.host, "' has no address");
  for (const addrinfo* target = found; target != nullptr; target = target->ai_next) {
    auto connected = ConnectTo(*target, deadline, address);
    if (connected.ok()) return connected;
    last = connected.status();
  }
  return last;
}

Status ShakeHands(SSL* session, int descriptor, Deadline deadline, const HostPort& address) {
  for (;;) {
    const int done = SSL_connect(session);
    if (done == 1) return {};
    const int error = SSL_get_error(session, done);
    if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) {
      return OpenSslFailure(Code::kUnavailable,
                            address.ToString() + " does not speak TLS as a coordinator does");
    }
    RETURN_IF_ERROR(
        WaitFor(descriptor, error == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, deadline, address));
  }
}

}  // namespace

Result<std::string> FetchPinnedRoot(const HostPort& address, const std::string& fingerprint,
                                    Deadline deadline) {
  ASSIGN_OR_RETURN(const File socket, Connect(address, deadline));
  const ContextPtr context(SSL_CTX_new(TLS_client_method()));
  CHECK(context != nullptr);
  CHECK(SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION) == 1);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);  // the fingerprint is the check
  const SessionPtr session(SSL_new(context.get()));
  CHECK(session != nullptr);
  static constexpr std::array<unsigned char, 3> kHttp2 = {2, 'h', '2'};
  CHECK(SSL_set_alpn_protos(session.get(), kHttp2.data(), kHttp2.size()) == 0);
  CHECK(SSL_set_fd(session.get(), socket.descriptor()) == 1);
  RETURN_IF_ERROR(ShakeHands(session.get(), socket.descriptor(), deadline, address));
  const STACK_OF(X509)* chain = SSL_get_peer_cert_chain(session.get());
  for (int i = 0; chain != nullptr && i < sk_X509_num(chain); ++i) {
    X509* certificate = sk_X509_value(chain, i);
    if (KeyFingerprint(certificate) == fingerprint && IsSelfSigned(certificate))
      return CertificateToPem(certificate);
  }
  return Denied(
      "the server at ", address.ToString(),
      " does not belong to the cluster that made this join token: none of its certificates has the "
      "fingerprint in the token");
}

}  // namespace bramble
