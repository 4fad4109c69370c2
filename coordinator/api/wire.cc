#include "coordinator/api/wire.h"

#include <array>
#include <cstdio>
#include <ctime>

namespace bramble::coordinator {
namespace {

void AddHeader(std::string& out, std::string_view name, std::string_view value) {
  out += name;
  out += ": ";
  for (const char c : value) {
    if (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f) out += c;
  }
  out += "\r\n";
}

// RFC 9110's form, which is English whatever the locale.
std::string Date() {
  static constexpr std::array<const char*, 7> kDays = {"Sun", "Mon", "Tue", "Wed",
                                                       "Thu", "Fri", "Sat"};
  static constexpr std::array<const char*, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                          "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%s, %02d %s %04d %02d:%02d:%02d GMT",
                kDays[static_cast<std::size_t>(utc.tm_wday)], utc.tm_mday,
                kMonths[static_cast<std::size_t>(utc.tm_mon)], utc.tm_year + 1900, utc.tm_hour,
                utc.tm_min, utc.tm_sec);
  return text.data();
}

}  // namespace

std::string WriteHead(const ReplyHead& head, const HttpReply& reply) {
  std::string out = head.http_1_0 ? "HTTP/1.0 " : "HTTP/1.1 ";
  out += std::to_string(head.status);
  out += ' ';
  out += ReasonPhrase(head.status);
  out += "\r\n";
  AddHeader(out, "Date", Date());
  AddHeader(out, "Server", "bramble");
  AddHeader(out, "X-Request-Id", head.request_id);
  const bool has_body = head.status != 204;
  if (has_body) AddHeader(out, "Content-Type", reply.content_type);
  for (const HttpHeader& header : reply.headers) AddHeader(out, header.name, header.value);
  if (head.framing == Framing::kLength && has_body) {
    AddHeader(out, "Content-Length", std::to_string(reply.body.size()));
  }
  if (head.framing == Framing::kChunked) AddHeader(out, "Transfer-Encoding", "chunked");
  if (!head.keep_alive) {
    AddHeader(out, "Connection", "close");
  } else if (head.http_1_0) {
    AddHeader(out, "Connection", "keep-alive");
  }
  out += "\r\n";
  return out;
}

std::string WriteChunk(std::string_view bytes) {
  std::array<char, 32> size{};
  std::snprintf(size.data(), size.size(), "%zx\r\n", bytes.size());
  std::string out = size.data();
  out += bytes;
  out += "\r\n";
  return out;
}

}  // namespace bramble::coordinator
