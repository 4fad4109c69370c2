#include "coordinator/api/channel.h"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace bramble::coordinator {
namespace {

namespace asio = boost::asio;
using asio::redirect_error;
using asio::use_awaitable;
using Socket = asio::ip::tcp::socket;

class PlainChannel final : public Channel {
 public:
  explicit PlainChannel(Socket socket) : socket_(std::move(socket)) {}

  asio::awaitable<void> Open(Error& error) override {
    error = {};
    co_return;
  }
  asio::awaitable<std::size_t> Read(asio::mutable_buffer into, Error& error) override {
    co_return co_await socket_.async_read_some(into, redirect_error(use_awaitable, error));
  }
  asio::awaitable<std::size_t> Write(asio::const_buffer from, Error& error) override {
    co_return co_await socket_.async_write_some(from, redirect_error(use_awaitable, error));
  }
  asio::awaitable<void> EndWriting() override {
    Error ignored;
    socket_.shutdown(Socket::shutdown_send, ignored);
    co_return;
  }
  void Close() override {
    Error ignored;
    socket_.close(ignored);
  }

 private:
  Socket socket_;
};

class TlsChannel final : public Channel {
 public:
  TlsChannel(Socket socket, asio::ssl::context& tls) : stream_(std::move(socket), tls) {}

  asio::awaitable<void> Open(Error& error) override {
    co_await stream_.async_handshake(asio::ssl::stream_base::server,
                                     redirect_error(use_awaitable, error));
  }
  asio::awaitable<std::size_t> Read(asio::mutable_buffer into, Error& error) override {
    co_return co_await stream_.async_read_some(into, redirect_error(use_awaitable, error));
  }
  asio::awaitable<std::size_t> Write(asio::const_buffer from, Error& error) override {
    co_return co_await stream_.async_write_some(from, redirect_error(use_awaitable, error));
  }
  asio::awaitable<void> EndWriting() override {
    // Not async_shutdown: it reads too, and a read is pending. The end of TCP without close_notify
    // behind a complete reply is what every HTTP client accepts.
    Error ignored;
    stream_.next_layer().shutdown(Socket::shutdown_send, ignored);
    co_return;
  }
  void Close() override {
    Error ignored;
    stream_.next_layer().close(ignored);
  }

 private:
  asio::ssl::stream<Socket> stream_;
};

}  // namespace

std::unique_ptr<Channel> MakeChannel(Socket socket, asio::ssl::context* tls) {
  if (tls == nullptr) return std::make_unique<PlainChannel>(std::move(socket));
  return std::make_unique<TlsChannel>(std::move(socket), *tls);
}

}  // namespace bramble::coordinator
