#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bramble::coordinator {

// HTTP as the rest of the coordinator sees it. How bytes come and go is the server's secret
// (server.h).

struct HttpHeader {
  std::string name;
  std::string value;
};

struct HttpRequest {
  std::string method;  // "GET"; HEAD stays "HEAD"
  std::string target;  // as sent: path and query, percent-encoded
  std::vector<HttpHeader> headers;
  std::string body;
  std::string request_id;  // the client's X-Request-Id if it is harmless text, else a new one

  // The target up to '?', still percent-encoded: an encoded slash must not take part in routing.
  std::string_view path() const;
  // The first header of that name, any case; empty if there is none.
  std::string_view Header(std::string_view name) const;
};

struct HttpReply {
  unsigned status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::vector<HttpHeader>
      headers;         // without Content-*, Connection, Date, X-Request-Id: the server writes these
  bool close = false;  // end the connection after this reply
};

// The way back to one client for one request. Everything that belongs to an exchange (Handle,
// posted work, the goodbye) runs on its strand: one after the other, on the server's handler
// threads, which may compute but should not wait. The methods may be called from any thread. An
// exchange that is dropped without a reply answers 500.
class Exchange {
 public:
  Exchange() = default;
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;
  virtual ~Exchange() = default;

  // The whole reply, once. Not after StartStream.
  virtual void Reply(HttpReply reply) = 0;
  // The head of a reply whose length is not known (`head.body` is ignored); then any number of
  // Write, then End. `idle_text` is sent whenever nothing else was for HttpOptions::stream_idle:
  // proxies cut silent connections.
  virtual void StartStream(HttpReply head, std::string idle_text) = 0;
  virtual void Write(std::string bytes) = 0;
  virtual void End() = 0;

  // Runs `work` on the strand, after what was posted before.
  virtual void Post(std::function<void()> work) = 0;
  // `gone` runs on the strand, once, if the client leaves (or does not read what it is sent) before
  // the reply has ended. To be called on the strand; a second call replaces the first.
  virtual void OnGone(std::function<void()> gone) = 0;
};

// What the server serves.
class HttpHandler {
 public:
  HttpHandler() = default;
  HttpHandler(const HttpHandler&) = delete;
  HttpHandler& operator=(const HttpHandler&) = delete;
  virtual ~HttpHandler() = default;

  // Looks at a head before its body is read: a reply refuses the request, and no body is waited
  // for. Called on the server's I/O thread: must be quick.
  virtual std::optional<HttpReply> Refuse(const HttpRequest& head) = 0;
  // Answers through `exchange`, now or later. Called on the exchange's strand.
  virtual void Handle(HttpRequest request, std::shared_ptr<Exchange> exchange) = 0;
  // A refusal that the server itself has to make (bad syntax, a limit): the body in the API's error
  // shape.
  virtual HttpReply Error(unsigned status, std::string_view message) = 0;
  // One line of the books for each request that was answered or given up. Called on the I/O thread.
  virtual void Answered(const HttpRequest& request, unsigned status, double seconds,
                        bool client_left) = 0;
};

// "Not Found" of 404.
std::string_view ReasonPhrase(unsigned status);

// "req-" and 32 random hexadecimal digits.
std::string NewRequestId();

// "%2F" and the like; nullopt when a % is not followed by two hexadecimal digits. '+' stays '+'.
std::optional<std::string> PercentDecode(std::string_view text);

// Equal but for the case of ASCII letters.
bool SameName(std::string_view a, std::string_view b);

}  // namespace bramble::coordinator
