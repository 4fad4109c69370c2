#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "common/mutex.h"
#include "coordinator/api/http.h"

namespace bramble::coordinator {

// Where work runs: the server's threads. Thread-safe.
class ServerThreads {
 public:
  ServerThreads() = default;
  ServerThreads(const ServerThreads&) = delete;
  ServerThreads& operator=(const ServerThreads&) = delete;
  virtual ~ServerThreads() = default;
  virtual void PostIo(std::function<void()> work) = 0;       // in order
  virtual void PostHandler(std::function<void()> work) = 0;  // in any order
};

// One after the other, on the handler threads. It holds the threads weakly, so that a generator
// that still holds an exchange when the server is gone does no harm: its work is dropped. Not
// Asio's strand, which must not outlive its context. Thread-safe.
class Strand : public std::enable_shared_from_this<Strand> {
 public:
  explicit Strand(std::weak_ptr<ServerThreads> threads) : threads_(std::move(threads)) {}
  void Post(std::function<void()> work);

 private:
  void Run();

  std::weak_ptr<ServerThreads> threads_;
  Mutex mu_;
  std::deque<std::function<void()>> work_ GUARDED_BY(mu_);
  bool scheduled_ GUARDED_BY(mu_) = false;
};

// The connection's end of an exchange: how it says goodbye. Its fields belong to the strand.
struct ExchangeGoodbye {
  explicit ExchangeGoodbye(std::weak_ptr<ServerThreads> threads)
      : strand(std::make_shared<Strand>(std::move(threads))) {}
  std::shared_ptr<Strand> strand;
  std::function<void()> gone;
  bool is_gone = false;
};

// From any thread: the client has left.
void SayGoodbye(const std::shared_ptr<ExchangeGoodbye>& goodbye);

// What an exchange asks of its connection. Called on the I/O thread; `number` names the exchange:
// an old one is ignored.
class ExchangePeer {
 public:
  ExchangePeer() = default;
  ExchangePeer(const ExchangePeer&) = delete;
  ExchangePeer& operator=(const ExchangePeer&) = delete;
  virtual ~ExchangePeer() = default;
  virtual void OnReply(std::uint64_t number, HttpReply reply) = 0;
  virtual void OnStart(std::uint64_t number, HttpReply head, std::string idle_text) = 0;
  virtual void OnWrite(std::uint64_t number, std::string bytes) = 0;
  virtual void OnEnd(std::uint64_t number) = 0;
  // Dropped without an end.
  virtual void OnAbandoned(std::uint64_t number) = 0;
};

// The handler's end.
class ServerExchange final : public Exchange {
 public:
  ServerExchange(std::weak_ptr<ServerThreads> threads, std::weak_ptr<ExchangePeer> peer,
                 std::shared_ptr<ExchangeGoodbye> goodbye, std::uint64_t number);
  ServerExchange(const ServerExchange&) = delete;
  ServerExchange& operator=(const ServerExchange&) = delete;
  ~ServerExchange() override;

  void Reply(HttpReply reply) override;
  void StartStream(HttpReply head, std::string idle_text) override;
  void Write(std::string bytes) override;
  void End() override;
  void Post(std::function<void()> work) override;
  void OnGone(std::function<void()> gone) override;

 private:
  void Tell(std::function<void(ExchangePeer&)> what);
  void Finished();

  std::weak_ptr<ServerThreads> threads_;
  std::weak_ptr<ExchangePeer> peer_;
  std::shared_ptr<ExchangeGoodbye> goodbye_;
  const std::uint64_t number_;
  std::atomic<bool> ended_{false};
};

}  // namespace bramble::coordinator
