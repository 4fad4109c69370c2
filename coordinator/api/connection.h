#pragma once

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>

#include "coordinator/api/channel.h"  // first: it prepares Asio
#include "coordinator/api/exchange.h"
#include "coordinator/api/http.h"
#include "coordinator/api/request_reader.h"
#include "coordinator/api/server.h"
#include "coordinator/api/wire.h"

namespace bramble::coordinator {

// What the connections of a server share. Outlives them.
struct ConnectionHost {
  const HttpOptions& options;
  HttpHandler& handler;
  boost::asio::io_context& io;
  std::weak_ptr<ServerThreads> threads;
  bool draining = false;  // I/O thread
  std::function<void()> connection_closed;
};

// One client. A reading coroutine takes requests one by one and keeps reading while one is
// answered, so that a client that leaves is noticed; a writing coroutine sends what the exchange
// has to say. Both, and every method, run on the I/O thread. The coroutines keep the connection
// alive; Close ends them.
class Connection final : public ExchangePeer, public std::enable_shared_from_this<Connection> {
 public:
  Connection(ConnectionHost& host, std::unique_ptr<Channel> channel);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() override;

  void Start();
  // The server stops: an idle connection closes now, a busy one after its reply.
  void Drain();
  // Ends at once. If a reply is under way, its client counts as gone.
  void Close();

  void OnReply(std::uint64_t number, HttpReply reply) override;
  void OnStart(std::uint64_t number, HttpReply head, std::string idle_text) override;
  void OnWrite(std::uint64_t number, std::string bytes) override;
  void OnEnd(std::uint64_t number) override;
  void OnAbandoned(std::uint64_t number) override;

 private:
  using Clock = std::chrono::steady_clock;
  enum class Wait { kNothing, kOpen, kIdle, kHead, kBody, kLinger };
  // The request that is being answered.
  struct Current {
    std::uint64_t number = 0;  // 0: none
    HttpRequest request;       // without its body
    std::shared_ptr<ExchangeGoodbye> goodbye;
    Clock::time_point begin;
    bool keep_alive = false;
    bool http_1_0 = false;
    bool streaming = false;
    bool answered = false;  // its last byte is queued
    unsigned status = 0;
    std::string idle_text;
  };

  boost::asio::awaitable<void> ReadLoop();
  boost::asio::awaitable<void> WriteLoop();
  boost::asio::awaitable<bool> WriteAll(const std::string& bytes);

  void Advance();
  bool OnBodyAwaited(bool first);
  void Begin(const HttpRequest& request, bool keep_alive);
  void Dispatch(HttpRequest request);
  void RefuseAndClose(HttpReply reply);
  void Await(Wait what);
  void OnDeadline();
  void OnInputEnd();

  void QueueReply(const HttpReply& reply);
  void Queue(std::string bytes);
  void EndReply();
  void FinishExchange();
  bool IsCurrent(std::uint64_t number) const;

  ConnectionHost& host_;
  std::unique_ptr<Channel> channel_;
  RequestReader reader_;
  std::string input_;
  bool input_ended_ = false;
  bool head_seen_ = false;     // the pending request's head was looked at
  bool stop_reading_ = false;  // no further request is taken from this connection
  bool closed_ = false;
  Clock::time_point body_begin_;

  std::deque<std::string> output_;
  std::size_t output_bytes_ = 0;  // queued, not yet taken by the socket
  bool end_queued_ = false;       // the end of the current reply is in output_
  bool writing_ended_ = false;

  Current current_;
  std::uint64_t exchanges_ = 0;

  Wait wait_ = Wait::kNothing;
  std::uint64_t deadline_number_ = 0;
  boost::asio::steady_timer deadline_;        // of what wait_ says
  boost::asio::steady_timer write_deadline_;  // of one write
  boost::asio::steady_timer
      output_bell_;  // rings when there is output, and when a stream has been silent
  boost::asio::steady_timer input_bell_;  // rings when there is room for input
};

}  // namespace bramble::coordinator
