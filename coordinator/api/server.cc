#include "coordinator/api/server.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <future>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "common/mutex.h"
#include "common/net.h"
#include "coordinator/api/channel.h"  // before the rest of Asio
#include "coordinator/api/connection.h"
#include "coordinator/api/exchange.h"
#include "coordinator/api/wire.h"

namespace bramble::coordinator {
namespace {

namespace asio = boost::asio;
using asio::redirect_error;
using asio::use_awaitable;
using asio::ip::tcp;

class Threads final : public ServerThreads {
 public:
  explicit Threads(unsigned handler_threads) : io(1), handlers(handler_threads) {}
  void PostIo(std::function<void()> work) override { asio::post(io, std::move(work)); }
  void PostHandler(std::function<void()> work) override { asio::post(handlers, std::move(work)); }

  asio::io_context io;
  asio::thread_pool handlers;
};

std::string Print(const tcp::endpoint& endpoint) {
  return HostPort{endpoint.address().to_string(), endpoint.port()}.ToString();
}

Status LoadTls(const HttpOptions& options, std::optional<asio::ssl::context>& tls) {
  if (options.tls_certificate_file.empty() && options.tls_key_file.empty()) return {};
  if (options.tls_certificate_file.empty() || options.tls_key_file.empty()) {
    return Invalid(
        "HTTP over TLS needs a certificate file and a key file, only one of them is set");
  }
  tls.emplace(asio::ssl::context::tls_server);
  tls->set_options(asio::ssl::context::default_workarounds | asio::ssl::context::no_tlsv1 |
                   asio::ssl::context::no_tlsv1_1);
  boost::system::error_code error;
  tls->use_certificate_chain_file(options.tls_certificate_file, error);
  if (error) return Invalid("certificate '", options.tls_certificate_file, "': ", error.message());
  tls->use_private_key_file(options.tls_key_file, asio::ssl::context::pem, error);
  if (error) return Invalid("key '", options.tls_key_file, "': ", error.message());
  return {};
}

class Server final : public HttpServer {
 public:
  Server(HttpOptions options, HttpHandler& handler)
      : options_(std::move(options)),
        threads_(std::make_shared<Threads>(options_.handler_threads)),
        host_{options_, handler, threads_->io, threads_, false, [this] { ConnectionClosed(); }},
        acceptor_(threads_->io),
        retry_(threads_->io) {}

  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  ~Server() override { Shutdown(std::chrono::milliseconds(0)); }

  Status Listen();
  std::string address() const override { return address_; }
  void Shutdown(std::chrono::milliseconds deadline) override;

 private:
  asio::awaitable<void> AcceptLoop();
  void Accept(tcp::socket socket);
  void TurnAway(tcp::socket socket);
  void ConnectionClosed();
  void OnIoThread(const std::function<void()>& work);

  const HttpOptions options_;
  std::optional<asio::ssl::context> tls_;
  std::string address_;

  Mutex mu_;
  Condition closed_;
  std::size_t open_ GUARDED_BY(mu_) = 0;  // connections
  bool stopped_ GUARDED_BY(mu_) = false;

  std::vector<std::weak_ptr<Connection>> connections_;  // I/O thread; some may be gone
  std::shared_ptr<Threads> threads_;
  ConnectionHost host_;
  tcp::acceptor acceptor_;
  asio::steady_timer retry_;
  std::thread io_thread_;
};

Status Server::Listen() {
  RETURN_IF_ERROR(LoadTls(options_, tls_));
  ASSIGN_OR_RETURN(const HostPort wanted, ParseHostPort(options_.listen, "the HTTP address"));
  boost::system::error_code error;
  tcp::resolver resolver(threads_->io);
  const auto found =
      resolver.resolve(wanted.host, std::to_string(wanted.port), tcp::resolver::passive, error);
  if (error || found.empty()) {
    return Invalid("HTTP address '", options_.listen, "': ", error.message());
  }
  const tcp::endpoint endpoint = found.begin()->endpoint();
  const auto step = [&](auto&& action) {
    if (!error) action();
  };
  step([&] { acceptor_.open(endpoint.protocol(), error); });
  step([&] { acceptor_.set_option(tcp::acceptor::reuse_address(true), error); });
  step([&] { acceptor_.bind(endpoint, error); });
  step([&] { acceptor_.listen(tcp::acceptor::max_listen_connections, error); });
  if (error)
    return Unavailable("cannot listen for HTTP on ", options_.listen, ": ", error.message());
  address_ = Print(acceptor_.local_endpoint());
  asio::co_spawn(
      threads_->io, [this] { return AcceptLoop(); }, asio::detached);
  io_thread_ = std::thread([threads = threads_] {
    const auto work = asio::make_work_guard(threads->io);
    threads->io.run();
  });
  return {};
}

asio::awaitable<void> Server::AcceptLoop() {
  while (acceptor_.is_open()) {
    boost::system::error_code error;
    tcp::socket socket = co_await acceptor_.async_accept(redirect_error(use_awaitable, error));
    if (!acceptor_.is_open()) break;
    if (!error) {
      Accept(std::move(socket));
      continue;
    }
    // Out of descriptors, most likely: accepting at once again would only spin.
    retry_.expires_after(std::chrono::milliseconds(100));
    co_await retry_.async_wait(redirect_error(use_awaitable, error));
  }
}

void Server::Accept(tcp::socket socket) {
  boost::system::error_code ignored;
  socket.set_option(tcp::no_delay(true), ignored);
  {
    const MutexLock lock(mu_);
    if (open_ >= options_.connections) return TurnAway(std::move(socket));
    ++open_;
  }
  auto connection =
      std::make_shared<Connection>(host_, MakeChannel(std::move(socket), tls_ ? &*tls_ : nullptr));
  std::erase_if(connections_, [](const auto& weak) { return weak.expired(); });
  connections_.push_back(connection);
  connection->Start();
}

// One attempt, without waiting: the client may not even listen.
void Server::TurnAway(tcp::socket socket) {
  if (tls_) return;
  HttpReply reply = host_.handler.Error(503, "too many connections: try again in a second");
  reply.headers.push_back({"Retry-After", "1"});
  const std::string id = NewRequestId();
  std::string bytes = WriteHead({503, id, false, false, Framing::kLength}, reply) + reply.body;
  boost::system::error_code ignored;
  socket.non_blocking(true, ignored);
  socket.write_some(asio::buffer(bytes), ignored);
  socket.shutdown(tcp::socket::shutdown_both, ignored);
}

void Server::ConnectionClosed() {
  const MutexLock lock(mu_);
  --open_;
  closed_.NotifyAll();
}

void Server::OnIoThread(const std::function<void()>& work) {
  std::promise<void> done;
  asio::post(threads_->io, [&] {
    work();
    done.set_value();
  });
  done.get_future().wait();
}

void Server::Shutdown(std::chrono::milliseconds deadline) {
  {
    const MutexLock lock(mu_);
    if (std::exchange(stopped_, true)) return;
  }
  if (io_thread_.joinable()) {
    OnIoThread([this] {
      boost::system::error_code ignored;
      acceptor_.close(ignored);
      retry_.cancel();
      host_.draining = true;
      for (const auto& weak : connections_) {
        if (const auto connection = weak.lock()) connection->Drain();
      }
    });
    {
      const MutexLock lock(mu_);
      const auto until = std::chrono::steady_clock::now() + deadline;
      while (open_ != 0 && closed_.WaitUntil(mu_, until)) {
      }
    }
    OnIoThread([this] {
      for (const auto& weak : connections_) {
        if (const auto connection = weak.lock()) connection->Close();
      }
    });
    // Closed connections end their coroutines within the loop; what a handler still has to do, it
    // does on its threads, and what it then says finds nobody.
    {
      const MutexLock lock(mu_);
      while (open_ != 0) closed_.Wait(mu_);
    }
    threads_->handlers.join();
    threads_->io.stop();
    io_thread_.join();
  }
}

}  // namespace

Result<std::unique_ptr<HttpServer>> HttpServer::Start(HttpOptions options, HttpHandler& handler) {
  auto server = std::make_unique<Server>(std::move(options), handler);
  RETURN_IF_ERROR(server->Listen());
  return std::unique_ptr<HttpServer>(std::move(server));
}

}  // namespace bramble::coordinator
