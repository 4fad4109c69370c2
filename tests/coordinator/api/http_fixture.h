#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>

#include "coordinator/api/joined.h"
#include "coordinator/api/server.h"
#include "tests/coordinator/api/raw_client.h"

namespace bramble::coordinator {

// /echo answers with the body, /stream with three pieces, /hold keeps its exchange for the test.
class SmallHandler final : public HttpHandler {
 public:
  std::optional<HttpReply> Refuse(const HttpRequest& head) override {
    if (head.path() == "/refused") return Error(401, "no");
    return std::nullopt;
  }

  void Handle(HttpRequest request, std::shared_ptr<Exchange> exchange) override {
    if (request.path() == "/throw") throw std::runtime_error("thrown on purpose");
    if (request.path() == "/drop") return;
    if (request.path() == "/stream" || request.path() == "/flood") {
      exchange->OnGone([this] { Count("gone"); });
      exchange->StartStream({200, "text/plain", {}, {}, false}, ": idle\n");
      if (request.path() == "/flood") {
        for (int i = 0; i < 64; ++i) exchange->Write(std::string(std::size_t{1} << 20, 'x'));
        Hold(std::move(exchange));
        return;
      }
      for (const char* piece : {"one ", "two ", "three"}) exchange->Write(piece);
      return exchange->End();
    }
    if (request.path() == "/hold" || request.path() == "/hold-stream") {
      exchange->OnGone([this] { Count("gone"); });
      if (request.path() == "/hold-stream") {
        exchange->StartStream({200, "text/plain", {}, {}, false}, ": idle\n");
        exchange->Write("begin ");
      }
      Hold(std::move(exchange));
      return;
    }
    exchange->Reply(
        {200, "text/plain", request.method + " " + request.target + " " + request.body, {}, false});
  }

  HttpReply Error(unsigned status, std::string_view message) override {
    return {status, "text/plain", Joined("error: ", message), {}, false};
  }

  void Answered(const HttpRequest& request, unsigned status, double seconds, bool left) override {
    EXPECT_GE(seconds, 0);
    EXPECT_FALSE(request.request_id.empty());
    Count(left ? "left" : Joined("answered ", status));
  }

  // Waits until `what` happened `count` times.
  bool Saw(const std::string& what, int count = 1) {
    std::unique_lock lock(mu_);
    return changed_.wait_for(lock, std::chrono::seconds(10),
                             [&] { return counts_[what] >= count; });
  }
  std::shared_ptr<Exchange> TakeHeld() {
    std::unique_lock lock(mu_);
    changed_.wait_for(lock, std::chrono::seconds(10), [&] { return held_ != nullptr; });
    return std::exchange(held_, nullptr);
  }

 private:
  void Count(const std::string& what) {
    const std::lock_guard lock(mu_);
    ++counts_[what];
    changed_.notify_all();
  }
  void Hold(std::shared_ptr<Exchange> exchange) {
    const std::lock_guard lock(mu_);
    held_ = std::move(exchange);
    changed_.notify_all();
  }

  std::mutex mu_;
  std::condition_variable changed_;
  std::map<std::string, int> counts_;
  std::shared_ptr<Exchange> held_;
};

class Http : public testing::Test {
 protected:
  void Start() {
    auto started = HttpServer::Start(options_, handler_);
    ASSERT_TRUE(started.ok()) << started.status().message();
    server_ = *std::move(started);
    address_ = server_->address();
  }
  // What one connection gets for these bytes.
  RawReply Ask(std::string_view bytes, bool no_body = false) {
    RawClient client(address_);
    client.Send(bytes);
    return client.ReadReply(no_body);
  }
  void ExpectAlive() { EXPECT_EQ(Ask("GET /echo HTTP/1.1\r\nHost: a\r\n\r\n").status, 200); }

  SmallHandler handler_;
  HttpOptions options_;
  std::unique_ptr<HttpServer> server_;
  std::string address_;
};

inline std::string Get(const std::string& path) {
  return "GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n";
}
inline std::string Post(const std::string& path, const std::string& body) {
  return Joined("POST ", path, " HTTP/1.1\r\nHost: a\r\nContent-Length: ", body.size(), "\r\n\r\n",
                body);
}

}  // namespace bramble::coordinator
