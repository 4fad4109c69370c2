#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "common/status.h"
#include "coordinator/api/http.h"

namespace bramble::coordinator {

struct HttpOptions {
  std::string listen = "127.0.0.1:0";  // HOST:PORT or [IPV6]:PORT; port 0 takes a free one

  // PEM files; both empty: plain HTTP.
  std::string tls_certificate_file;
  std::string tls_key_file;

  std::size_t body_bytes = std::size_t{8} << 20;  // more is refused with 413, unread
  std::uint32_t header_bytes = 32 * 1024;         // request line and headers; more: 431
  std::size_t connections = 256;                  // more are told 503 and closed
  std::size_t unread_bytes = std::size_t{4}
                             << 20;  // of a stream, waiting for a client that does not read

  std::chrono::milliseconds idle{
      60'000};  // between two requests of a connection, and before the first
  std::chrono::milliseconds header{
      10'000};  // from a request's first byte to the end of its headers: 408
  std::chrono::milliseconds body{30'000};         // without a byte of the body: 408
  std::chrono::milliseconds whole_body{300'000};  // for the whole of it: 408
  std::chrono::milliseconds write{30'000};        // in which the client takes no byte: closed
  std::chrono::milliseconds stream_idle{15'000};  // see Exchange::StartStream
  std::chrono::milliseconds linger{5'000};  // for a client to read a refusal while it still sends

  unsigned handler_threads = 2;
};

// An HTTP/1.1 server on its own threads: one for I/O, `handler_threads` for the handler.
// Keep-alive, pipelining, HEAD, Expect: 100-continue, chunked bodies both ways. A client that
// closes its side is noticed at once. Thread-safe. Destroying it is Shutdown(0).
class HttpServer {
 public:
  // Listens, or says why it cannot (address in use, a certificate that cannot be read). `handler`
  // outlives the server.
  static Result<std::unique_ptr<HttpServer>> Start(HttpOptions options, HttpHandler& handler);
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;
  virtual ~HttpServer() = default;

  // HOST:PORT with the port that was taken.
  virtual std::string address() const = 0;
  // Stops listening, closes idle connections, lets the requests in flight end, and after `deadline`
  // ends those that did not (their OnGone runs). Waits until all of the server's threads have
  // ended. A second call does nothing.
  virtual void Shutdown(std::chrono::milliseconds deadline) = 0;

 protected:
  HttpServer() = default;
};

}  // namespace bramble::coordinator
