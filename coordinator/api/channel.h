#pragma once

// clang-format off
#include <utility>  // before Asio: its awaitable.hpp uses std::exchange
// clang-format on

#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <cstddef>
#include <memory>

namespace bramble::coordinator {

// A connected socket, plain or under TLS. One read and one write may be pending at once; the I/O
// thread only.
class Channel {
 public:
  using Error = boost::system::error_code;

  Channel() = default;
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;
  virtual ~Channel() = default;

  // The handshake, if there is one.
  virtual boost::asio::awaitable<void> Open(Error& error) = 0;
  // At least one byte, or an error; the end of the stream is one.
  virtual boost::asio::awaitable<std::size_t> Read(boost::asio::mutable_buffer into,
                                                   Error& error) = 0;
  // Some of the bytes.
  virtual boost::asio::awaitable<std::size_t> Write(boost::asio::const_buffer from,
                                                    Error& error) = 0;
  // Nothing more will be written; what the other side sends can still be read.
  virtual boost::asio::awaitable<void> EndWriting() = 0;
  // Ends pending operations with an error.
  virtual void Close() = 0;
};

// `tls`: null for plain TCP; outlives the channel.
std::unique_ptr<Channel> MakeChannel(boost::asio::ip::tcp::socket socket,
                                     boost::asio::ssl::context* tls);

}  // namespace bramble::coordinator
