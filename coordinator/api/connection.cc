#include "coordinator/api/connection.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <utility>

#include "coordinator/api/joined.h"

// GCC 12 takes the frame allocator of Boost 1.74's awaitable for a mismatch; its new and delete do
// belong together.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#endif

namespace bramble::coordinator {
namespace {

namespace asio = boost::asio;
using asio::redirect_error;
using asio::use_awaitable;

// Of later requests, while one is answered. A client that sends more waits.
constexpr std::size_t kReadAhead = std::size_t{64} * 1024;
// Queued output is joined up to this for one write.
constexpr std::size_t kWriteBytes = std::size_t{64} * 1024;

double Seconds(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

}  // namespace

Connection::Connection(ConnectionHost& host, std::unique_ptr<Channel> channel)
    : host_(host),
      channel_(std::move(channel)),
      reader_({host.options.header_bytes, host.options.body_bytes}),
      deadline_(host.io),
      write_deadline_(host.io),
      output_bell_(host.io),
      input_bell_(host.io) {}

Connection::~Connection() { host_.connection_closed(); }

void Connection::Start() {
  asio::co_spawn(
      host_.io, [self = shared_from_this()] { return self->ReadLoop(); }, asio::detached);
}

asio::awaitable<void> Connection::ReadLoop() {
  const auto self = shared_from_this();
  Channel::Error error;
  Await(Wait::kOpen);
  co_await channel_->Open(error);
  if (error || closed_) {
    Close();
    co_return;
  }
  Await(Wait::kIdle);
  asio::co_spawn(
      host_.io, [self] { return self->WriteLoop(); }, asio::detached);
  std::array<char, std::size_t{16} * 1024> bytes{};
  while (!closed_) {
    const std::size_t count = co_await channel_->Read(asio::buffer(bytes), error);
    if (error || closed_) break;
    if (stop_reading_) continue;  // what follows a refused request is read to be forgotten
    input_.append(bytes.data(), count);
    Advance();
    while (input_.size() >= kReadAhead && current_.number != 0 && !closed_) {
      input_bell_.expires_at(Clock::time_point::max());
      co_await input_bell_.async_wait(redirect_error(use_awaitable, error));
    }
  }
  const bool lost =
      error == asio::error::connection_reset || error == asio::error::operation_aborted;
  if (lost) Close();
  OnInputEnd();
}

// Takes from the input what can be taken now.
void Connection::Advance() {
  while (current_.number == 0 && !stop_reading_ && !closed_) {
    const std::size_t taken = reader_.Feed(input_);
    input_.erase(0, taken);
    switch (reader_.state()) {
      case RequestReader::State::kNothing:
        if (host_.draining) return Close();
        if (wait_ != Wait::kIdle) Await(Wait::kIdle);
        return;
      case RequestReader::State::kHead:
        if (wait_ != Wait::kHead) Await(Wait::kHead);
        return;
      case RequestReader::State::kBody: {
        const bool first = !std::exchange(head_seen_, true);
        if (!OnBodyAwaited(first)) return;
        if (taken == 0 && !first) return;
        break;
      }
      case RequestReader::State::kDone:
        if (!std::exchange(head_seen_, true)) {
          if (auto refusal = host_.handler.Refuse(reader_.head())) {
            // The whole request is here: the connection can go on.
            Begin(reader_.Take(), reader_.keep_alive());
            return QueueReply(*refusal);
          }
        }
        Dispatch(reader_.Take());
        break;
      case RequestReader::State::kFailed: {
        const auto& refusal = reader_.refusal();
        // Who may not ask at all is told that, not what is wrong with the body.
        if (refusal.status == 411 || refusal.status == 413) {
          if (auto earlier = host_.handler.Refuse(reader_.head())) {
            return RefuseAndClose(std::move(*earlier));
          }
        }
        return RefuseAndClose(host_.handler.Error(refusal.status, refusal.message));
      }
    }
  }
}

// False: the request was refused.
bool Connection::OnBodyAwaited(bool first) {
  if (first) {
    body_begin_ = Clock::now();
    if (auto refusal = host_.handler.Refuse(reader_.head())) {
      RefuseAndClose(std::move(*refusal));
      return false;
    }
    if (reader_.expects_continue() && input_.empty()) Queue(std::string(kContinue));
  }
  Await(Wait::kBody);
  return true;
}

void Connection::Begin(const HttpRequest& request, bool keep_alive) {
  Await(Wait::kNothing);
  head_seen_ = false;
  current_ = {};
  current_.number = ++exchanges_;
  current_.keep_alive = keep_alive;
  current_.http_1_0 = reader_.http_1_0();
  current_.begin = Clock::now();
  current_.goodbye = std::make_shared<ExchangeGoodbye>(host_.threads);
  current_.request = {request.method, request.target, request.headers, {}, request.request_id};
  if (request.request_id.empty()) current_.request.request_id = NewRequestId();
}

void Connection::Dispatch(HttpRequest request) {
  Begin(request, reader_.keep_alive());
  if (host_.draining) {
    return QueueReply(
        host_.handler.Error(503, "the server is stopping: ask another one, or later"));
  }
  auto exchange = std::make_shared<ServerExchange>(host_.threads, weak_from_this(),
                                                   current_.goodbye, current_.number);
  current_.goodbye->strand->Post(
      [handler = &host_.handler, exchange = std::move(exchange), request = std::move(request)] {
        handler->Handle(request, exchange);
      });
  // Nobody will read the answer, or only one who closed his half too early: see OnInputEnd.
  if (input_ended_) SayGoodbye(current_.goodbye);
}

void Connection::RefuseAndClose(HttpReply reply) {
  stop_reading_ = true;
  input_.clear();
  reply.close = true;
  Begin(reader_.head(), false);
  QueueReply(reply);
}

bool Connection::IsCurrent(std::uint64_t number) const {
  return current_.number == number && !current_.answered && !closed_;
}

void Connection::OnReply(std::uint64_t number, HttpReply reply) {
  if (IsCurrent(number) && !current_.streaming) QueueReply(reply);
}

void Connection::QueueReply(const HttpReply& reply) {
  if (reply.close || host_.draining) current_.keep_alive = false;
  current_.status = reply.status;
  Queue(WriteHead({reply.status, current_.request.request_id, current_.keep_alive,
                   current_.http_1_0, Framing::kLength},
                  reply));
  if (current_.request.method != "HEAD" && reply.status != 204) Queue(reply.body);
  EndReply();
}

void Connection::OnStart(std::uint64_t number, HttpReply head, std::string idle_text) {
  if (!IsCurrent(number) || current_.streaming) return;
  current_.streaming = true;
  current_.status = head.status;
  current_.idle_text = std::move(idle_text);
  if (head.close || host_.draining || current_.http_1_0) current_.keep_alive = false;
  Queue(WriteHead({head.status, current_.request.request_id, current_.keep_alive, current_.http_1_0,
                   current_.http_1_0 ? Framing::kToEnd : Framing::kChunked},
                  head));
}

void Connection::OnWrite(std::uint64_t number, std::string bytes) {
  if (!IsCurrent(number) || !current_.streaming || bytes.empty()) return;
  Queue(current_.http_1_0 ? std::move(bytes) : WriteChunk(bytes));
  // A client that does not read must not fill our memory.
  if (output_bytes_ > host_.options.unread_bytes) Close();
}

void Connection::OnEnd(std::uint64_t number) {
  if (!IsCurrent(number) || !current_.streaming) return;
  if (!current_.http_1_0) Queue(std::string(kLastChunk));
  EndReply();
}

void Connection::OnAbandoned(std::uint64_t number) {
  if (!IsCurrent(number)) return;
  // A stream that has begun cannot be turned into an error: its cut end is the message.
  if (current_.streaming) return Close();
  QueueReply(host_.handler.Error(500, "the request was given up by an error of the server"));
}

void Connection::Queue(std::string bytes) {
  if (bytes.empty()) return;
  output_bytes_ += bytes.size();
  output_.push_back(std::move(bytes));
  output_bell_.cancel();
}

void Connection::EndReply() {
  current_.answered = true;
  end_queued_ = true;
  output_bell_.cancel();
}

asio::awaitable<void> Connection::WriteLoop() {
  const auto self = shared_from_this();
  while (!closed_) {
    if (output_.empty() && end_queued_) {
      FinishExchange();
      if (writing_ended_) co_await channel_->EndWriting();
      continue;
    }
    if (output_.empty()) {
      const bool bounded = current_.streaming && !current_.idle_text.empty();
      output_bell_.expires_at(bounded ? Clock::now() + host_.options.stream_idle
                                      : Clock::time_point::max());
      Channel::Error rung;
      co_await output_bell_.async_wait(redirect_error(use_awaitable, rung));
      if (!rung && output_.empty() && !closed_) OnWrite(current_.number, current_.idle_text);
      continue;
    }
    std::string bytes = std::move(output_.front());
    output_.pop_front();
    while (!output_.empty() && bytes.size() + output_.front().size() <= kWriteBytes) {
      bytes += output_.front();
      output_.pop_front();
    }
    if (!co_await WriteAll(bytes)) break;
    output_bytes_ -= bytes.size();
  }
  Close();
}

asio::awaitable<bool> Connection::WriteAll(const std::string& bytes) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    write_deadline_.expires_after(host_.options.write);
    write_deadline_.async_wait([weak = weak_from_this()](Channel::Error cancelled) {
      const auto self = weak.lock();
      if (!cancelled && self) self->Close();
    });
    Channel::Error error;
    done += co_await channel_->Write(asio::buffer(bytes.data() + done, bytes.size() - done), error);
    write_deadline_.cancel();
    if (error || closed_) co_return false;
  }
  co_return true;
}

// The reply is on its way: the books, then the next request or the end.
void Connection::FinishExchange() {
  end_queued_ = false;
  const Current done = std::exchange(current_, {});
  host_.handler.Answered(done.request, done.status, Seconds(done.begin), input_ended_);
  if (closed_) return;
  if (done.keep_alive) {
    Advance();
    if (closed_) return;
    if (input_ended_ && current_.number == 0) return Close();
    input_bell_.cancel();
    return;
  }
  // Closing while the client still sends would reset the connection and take the reply from it: say
  // that nothing more comes, and listen for a while.
  const bool more_to_come = stop_reading_ || !input_.empty();
  if (input_ended_ || !more_to_come) return Close();
  stop_reading_ = true;
  writing_ended_ = true;
  input_bell_.cancel();
  Await(Wait::kLinger);
}

void Connection::OnInputEnd() {
  input_ended_ = true;
  // Between requests, or in the middle of one that will never be complete.
  if (closed_ || current_.number == 0) return Close();
  // Its client has left, or has closed its half. No program needs the latter for HTTP, and a client
  // that left looks the same: what was asked is given up, and the handler's last words are still
  // sent.
  SayGoodbye(current_.goodbye);
}

void Connection::Await(Wait what) {
  wait_ = what;
  const auto number = ++deadline_number_;
  const HttpOptions& options = host_.options;
  Clock::time_point until = Clock::now();
  switch (what) {
    case Wait::kNothing:
      deadline_.cancel();
      return;
    case Wait::kOpen:
    case Wait::kHead:
      until += options.header;
      break;
    case Wait::kIdle:
      until += options.idle;
      break;
    case Wait::kBody:
      until = std::min(until + options.body, body_begin_ + options.whole_body);
      break;
    case Wait::kLinger:
      until += options.linger;
      break;
  }
  deadline_.expires_at(until);
  deadline_.async_wait([weak = weak_from_this(), number](Channel::Error cancelled) {
    const auto self = weak.lock();
    if (!cancelled && self && number == self->deadline_number_) self->OnDeadline();
  });
}

void Connection::OnDeadline() {
  if (wait_ != Wait::kHead && wait_ != Wait::kBody) return Close();
  const char* what = wait_ == Wait::kHead ? "the headers" : "the body";
  RefuseAndClose(host_.handler.Error(408, Joined(what, " did not arrive in time")));
}

void Connection::Drain() {
  // A request that has begun to arrive is waited for, within its deadlines, and told 503 by the
  // handler.
  if (current_.number == 0 && reader_.state() == RequestReader::State::kNothing) Close();
}

void Connection::Close() {
  if (std::exchange(closed_, true)) return;
  if (current_.number != 0) {
    const Current lost = std::exchange(current_, {});
    SayGoodbye(lost.goodbye);
    host_.handler.Answered(lost.request, lost.status, Seconds(lost.begin), true);
  }
  ++deadline_number_;
  deadline_.cancel();
  write_deadline_.cancel();
  output_bell_.cancel();
  input_bell_.cancel();
  channel_->Close();
}

}  // namespace bramble::coordinator
