#include "worker/metrics_listener.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <list>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "common/files.h"
#include "common/identity/tls_server.h"
#include "common/log.h"
#include "worker/metrics_answer.h"

namespace bramble::worker {
namespace {

using Clock = std::chrono::steady_clock;
using AddressesPtr = std::unique_ptr<addrinfo, FreeWith<freeaddrinfo>>;

constexpr int kBacklog = 16;

Status SocketFailure(const HostPort& address, const char* what) {
  return Failed("metrics: cannot ", what, " ", address.ToString(), ": ",
                std::generic_category().message(errno));
}

Result<File> ListenOn(HostPort& address) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  const int error =
      getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &found);
  if (error != 0) return Failed("metrics: ", address.ToString(), ": ", gai_strerror(error));
  const AddressesPtr addresses(found);
  File socket(::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket.valid()) return SocketFailure(address, "make a socket for");
  const int yes = 1;
  setsockopt(socket.descriptor(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (bind(socket.descriptor(), found->ai_addr, found->ai_addrlen) != 0 ||
      listen(socket.descriptor(), kBacklog) != 0) {
    return SocketFailure(address, "listen on");
  }
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  if (getsockname(socket.descriptor(), reinterpret_cast<sockaddr*>(&bound), &size) != 0)
    return SocketFailure(address, "ask for the port of");
  address.port =
      ntohs(bound.ss_family == AF_INET6 ? reinterpret_cast<const sockaddr_in6*>(&bound)->sin6_port
                                        : reinterpret_cast<const sockaddr_in*>(&bound)->sin_port);
  return socket;
}

// One client. Advance does what can be done without waiting.
class Connection {
 public:
  Connection(File socket, TlsSessionPtr session, const MetricsOptions& options)
      : options_(options), socket_(std::move(socket)), session_(std::move(session)) {
    if (session_ == nullptr) phase_ = Phase::kRead;
  }

  int descriptor() const { return socket_.descriptor(); }
  short events() const { return events_; }
  Clock::time_point deadline() const { return deadline_; }

  // False when it is over.
  bool Advance() {
    while (true) {
      switch (phase_) {
        case Phase::kHandshake: {
          const int done = SSL_accept(session_.get());
          if (done != 1) return Waits(done);
          phase_ = Phase::kRead;
          break;
        }
        case Phase::kRead: {
          const int count = Read();
          if (count <= 0) return Waits(count);
          Take(static_cast<std::size_t>(count));
          break;
        }
        case Phase::kWrite: {
          const int count = Write();
          if (count <= 0) return Waits(count);
          sent_ += static_cast<std::size_t>(count);
          if (sent_ == reply_.size()) SayGoodbye();
          break;
        }
        case Phase::kGoodbye: {
          // The client ends it: closing on bytes that were not read would throw the reply away.
          const int count = Read();
          if (count <= 0) return Waits(count);
          break;
        }
      }
    }
  }

 private:
  enum class Phase { kHandshake, kRead, kWrite, kGoodbye };

  // After a call that did nothing: false unless it only has to wait.
  bool Waits(int result) {
    if (session_ != nullptr) {
      const int error = SSL_get_error(session_.get(), result);
      ERR_clear_error();
      events_ = error == SSL_ERROR_WANT_WRITE ? POLLOUT : POLLIN;
      return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
    }
    events_ = phase_ == Phase::kWrite ? POLLOUT : POLLIN;
    return result < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
  }

  int Read() {
    if (session_ != nullptr)
      return SSL_read(session_.get(), buffer_.data(), static_cast<int>(buffer_.size()));
    return static_cast<int>(recv(descriptor(), buffer_.data(), buffer_.size(), 0));
  }

  int Write() {
    const char* begin = reply_.data() + sent_;
    const std::size_t size = reply_.size() - sent_;
    if (session_ != nullptr)
      return SSL_write(session_.get(), begin, static_cast<int>(std::min(size, buffer_.size())));
    return static_cast<int>(send(descriptor(), begin, size, MSG_NOSIGNAL));
  }

  void Take(std::size_t count) {
    request_.append(buffer_.data(), count);
    const std::size_t end = request_.find("\r\n\r\n");
    if (end == std::string::npos && request_.size() <= MetricsListener::kLongestHead) return;
    if (end == std::string::npos || end > MetricsListener::kLongestHead) {
      reply_ = RefuseMetrics("431 Request Header Fields Too Large", "the head is too long");
    } else {
      const bool member = session_ == nullptr || TlsPeer(session_.get()).ok();
      reply_ = AnswerMetrics(std::string_view(request_).substr(0, end), member, options_);
    }
    request_.clear();
    phase_ = Phase::kWrite;
  }

  void SayGoodbye() {
    phase_ = Phase::kGoodbye;
    if (session_ != nullptr) SSL_shutdown(session_.get());
    shutdown(descriptor(), SHUT_WR);
  }

  const MetricsOptions& options_;
  const File socket_;
  const TlsSessionPtr session_;  // null: plain
  const Clock::time_point deadline_ = Clock::now() + MetricsListener::kTime;
  Phase phase_ = Phase::kHandshake;
  short events_ = POLLIN;
  std::array<char, 4096> buffer_{};
  std::string request_;
  std::string reply_;
  std::size_t sent_ = 0;
};

class Listener final : public MetricsListener {
 public:
  Listener(MetricsOptions options, File socket, File bell)
      : options_(std::move(options)),
        socket_(std::move(socket)),
        bell_(std::move(bell)),
        tls_(!IsLoopback(options_.listen.host)) {}
  ~Listener() override {
    const std::uint64_t one = 1;
    if (thread_.joinable() && write(bell_.descriptor(), &one, sizeof one) == sizeof one)
      thread_.join();
  }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  Status Begin() {
    if (tls_) RETURN_IF_ERROR(FollowIdentity());
    thread_ = std::thread([this] { Loop(); });
    return {};
  }

  const HostPort& address() const override { return options_.listen; }
  bool tls() const override { return tls_; }

 private:
  void Loop() {
    std::vector<pollfd> waits;
    while (true) {
      waits.assign({{bell_.descriptor(), POLLIN, 0}, {socket_.descriptor(), POLLIN, 0}});
      for (const Connection& connection : connections_)
        waits.push_back({connection.descriptor(), connection.events(), 0});
      if (poll(waits.data(), waits.size(), TimeLeft()) < 0 && errno != EINTR) return;
      if (waits[0].revents != 0) return;
      std::size_t i = 2;
      for (auto at = connections_.begin(); at != connections_.end(); ++i) {
        const bool lives = waits[i].revents == 0 || at->Advance();
        at = lives && Clock::now() < at->deadline() ? std::next(at) : connections_.erase(at);
      }
      if (waits[1].revents != 0) Accept();
    }
  }

  // Milliseconds until the oldest connection must end; for ever without one.
  int TimeLeft() const {
    if (connections_.empty()) return -1;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(connections_.front().deadline() -
                                                                   Clock::now());
    return static_cast<int>(std::max<std::int64_t>(left.count(), 0));
  }

  void Accept() {
    File socket(accept4(socket_.descriptor(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!socket.valid()) {
      // Out of descriptors, most likely: the oldest connection gives one back; without one,
      // accepting at once again would only spin.
      pollfd bell{bell_.descriptor(), POLLIN, 0};
      if (connections_.empty()) {
        poll(&bell, 1, 100);
      } else {
        connections_.pop_front();
      }
      return;
    }
    TlsSessionPtr session;
    if (tls_) {
      if (const Status status = FollowIdentity(); !status.ok())
        LogFailure("metrics: the identity is of no use, the old one stays", status);
      session.reset(SSL_new(context_.get()));
      if (session == nullptr || SSL_set_fd(session.get(), socket.descriptor()) != 1) return;
    }
    if (connections_.size() >= kConnections) connections_.pop_front();
    connections_.emplace_back(std::move(socket), std::move(session), options_);
  }

  // Loads the identity if it is another one than last time.
  Status FollowIdentity() {
    std::error_code error;
    const std::string version =
        std::filesystem::read_symlink(JoinPath(options_.identities.folder(), "current"), error)
            .string();
    if (context_ != nullptr && version == version_) return {};
    ASSIGN_OR_RETURN(const NodeIdentity identity, options_.identities.Load());
    ASSIGN_OR_RETURN(context_, MakeTlsServerContext(identity));
    version_ = version;
    return {};
  }

  const MetricsOptions options_;
  const File socket_;
  const File bell_;  // rings to stop
  const bool tls_;
  // The thread's.
  TlsContextPtr context_;
  std::string version_;
  std::list<Connection> connections_;  // the oldest first: deadlines rise
  std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<MetricsListener>> MetricsListener::Start(MetricsOptions options) {
  ASSIGN_OR_RETURN(File socket, ListenOn(options.listen));
  File bell(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!bell.valid()) return Internal("metrics: eventfd: ", std::generic_category().message(errno));
  auto listener =
      std::make_unique<Listener>(std::move(options), std::move(socket), std::move(bell));
  RETURN_IF_ERROR(listener->Begin());
  return std::unique_ptr<MetricsListener>(std::move(listener));
}

}  // namespace bramble::worker
