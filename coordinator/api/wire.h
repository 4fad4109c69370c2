#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "coordinator/api/http.h"

namespace bramble::coordinator {

// How a reply looks on the wire.
enum class Framing {
  kLength,   // Content-Length
  kChunked,  // Transfer-Encoding: chunked
  kToEnd,    // until the connection closes (HTTP/1.0)
};

struct ReplyHead {
  unsigned status = 200;
  std::string_view request_id;
  bool keep_alive = true;
  bool http_1_0 = false;
  Framing framing = Framing::kLength;
};

// Status line and headers, with the empty line. Header values lose control characters: nothing that
// came from elsewhere can begin a header of its own.
std::string WriteHead(const ReplyHead& head, const HttpReply& reply);

// One chunk of a chunked body. Requires that `bytes` is not empty: the empty chunk ends the body.
std::string WriteChunk(std::string_view bytes);
inline constexpr std::string_view kLastChunk = "0\r\n\r\n";
inline constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

}  // namespace bramble::coordinator
