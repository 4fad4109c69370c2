#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "coordinator/api/http.h"

namespace bramble::coordinator {

// Bytes to requests, without sockets or clocks. Feed it what has come; it stops at the end of a
// head (so that the request can be refused before its body) and at the end of a request. One thread
// at a time.
class RequestReader {
 public:
  struct Limits {
    std::uint32_t header_bytes = 32 * 1024;
    std::size_t body_bytes = std::size_t{8} << 20;
  };
  enum class State {
    kNothing,  // between two requests
    kHead,     // some of a head
    kBody,     // the head is complete, the body is not: decide, then go on feeding
    kDone,     // the request is complete: Take it
    kFailed,   // refusal() says why; the connection cannot go on
  };
  struct Refusal {
    unsigned status = 400;
    std::string message;
  };

  explicit RequestReader(Limits limits);
  ~RequestReader();
  RequestReader(const RequestReader&) = delete;
  RequestReader& operator=(const RequestReader&) = delete;

  // Takes bytes from the front of `bytes` and says how many; the caller offers the rest again, with
  // more behind it. Takes nothing when done or failed.
  std::size_t Feed(std::string_view bytes);

  State state() const { return state_; }
  const Refusal& refusal() const { return refusal_; }

  // From kBody on (and after a failure, as far as it was understood):
  const HttpRequest& head() const { return request_; }
  bool keep_alive() const { return keep_alive_; }
  bool http_1_0() const { return http_1_0_; }
  // The client waits for "100 Continue" before it sends the body.
  bool expects_continue() const { return expects_continue_; }

  // The request, and a fresh start. Requires kDone.
  HttpRequest Take();

 private:
  struct Parser;

  void Prepare();
  std::size_t FeedHead(std::string_view bytes);
  std::size_t FeedBody(std::string_view bytes);
  void ReadHead();
  void CheckHead();
  void Fail(unsigned status, std::string message);

  Limits limits_;
  std::unique_ptr<Parser> parser_;
  State state_ = State::kNothing;
  HttpRequest request_;
  Refusal refusal_;
  bool keep_alive_ = false;
  bool http_1_0_ = false;
  bool expects_continue_ = false;
};

}  // namespace bramble::coordinator
