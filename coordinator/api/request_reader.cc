#include "coordinator/api/request_reader.h"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <limits>
#include <utility>

#include "common/check.h"
#include "coordinator/api/joined.h"

namespace bramble::coordinator {
namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;

using HttpError = http::error;

constexpr std::size_t kRequestIdBytes = 128;

std::string_view View(beast::string_view text) { return {text.data(), text.size()}; }

// A caller's id goes into headers and logs of every process: letters, digits and a few signs only.
bool HarmlessId(std::string_view id) {
  return !id.empty() && id.size() <= kRequestIdBytes &&
         std::all_of(id.begin(), id.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '_' || c == '.' || c == ':';
         });
}

// What the parser found wrong, for the person who wrote the client.
RequestReader::Refusal Explain(const beast::error_code& error, std::string_view bytes,
                               const RequestReader::Limits& limits) {
  if (error == HttpError::header_limit) {
    return {431,
            Joined("the request line and headers are larger than ", limits.header_bytes, " bytes")};
  }
  if (error == HttpError::body_limit) {
    return {413, Joined("the body is larger than ", limits.body_bytes, " bytes")};
  }
  if (!bytes.empty() && bytes[0] == '\x16') {
    return {400, "this looks like TLS, but the port speaks plain HTTP: use http://"};
  }
  if (error == HttpError::bad_version) return {505, "only HTTP/1.0 and HTTP/1.1 are spoken here"};
  return {400, "not an HTTP request: " + error.message()};
}

}  // namespace

struct RequestReader::Parser {
  http::request_parser<http::string_body> parser;
};

RequestReader::RequestReader(Limits limits) : limits_(limits), parser_(std::make_unique<Parser>()) {
  Prepare();
}

RequestReader::~RequestReader() = default;

void RequestReader::Prepare() {
  parser_->parser.header_limit(limits_.header_bytes);
  // Set when the head has been looked at. Not boost::none: Boost 1.74 takes that for a limit below
  // every length.
  parser_->parser.body_limit(std::numeric_limits<std::uint64_t>::max());
}

std::size_t RequestReader::Feed(std::string_view bytes) {
  std::size_t taken = 0;
  if (state_ == State::kNothing) {
    // Old clients end a body with an extra line break (RFC 9112 §2.2).
    while (taken < bytes.size() && (bytes[taken] == '\r' || bytes[taken] == '\n')) ++taken;
    if (taken == bytes.size()) return taken;
    state_ = State::kHead;
  }
  if (state_ == State::kHead) return taken + FeedHead(bytes.substr(taken));
  if (state_ == State::kBody) return FeedBody(bytes);
  return taken;
}

std::size_t RequestReader::FeedHead(std::string_view bytes) {
  beast::error_code error;
  auto& parser = parser_->parser;
  const std::size_t taken =
      parser.put(boost::asio::const_buffer(bytes.data(), bytes.size()), error);
  if (error == HttpError::need_more) return taken;
  if (error) {
    ReadHead();
    refusal_ = Explain(error, bytes, limits_);
    state_ = State::kFailed;
    return taken;
  }
  if (!parser.is_header_done()) return taken;
  ReadHead();
  state_ = parser.is_done() ? State::kDone : State::kBody;
  CheckHead();
  return taken;
}

std::size_t RequestReader::FeedBody(std::string_view bytes) {
  auto& parser = parser_->parser;
  std::size_t taken = 0;
  while (taken < bytes.size() && !parser.is_done()) {
    beast::error_code error;
    const std::string_view rest = bytes.substr(taken);
    taken += parser.put(boost::asio::const_buffer(rest.data(), rest.size()), error);
    if (error == HttpError::need_more) {
      // Only the line in front of a chunk waits for its end; none needs to be long.
      if (bytes.size() - taken > limits_.header_bytes) Fail(400, "a chunk's size line has no end");
      return taken;
    }
    if (error) {
      refusal_ = Explain(error, {}, limits_);
      state_ = State::kFailed;
      return taken;
    }
  }
  if (parser.is_done()) state_ = State::kDone;
  return taken;
}

void RequestReader::ReadHead() {
  const auto& message = parser_->parser.get();
  request_.method = View(message.method_string());
  request_.target = View(message.target());
  request_.headers.clear();
  for (const auto& field : message) {
    request_.headers.push_back(
        {std::string(View(field.name_string())), std::string(View(field.value()))});
  }
  const std::string_view id = request_.Header("X-Request-Id");
  request_.request_id = HarmlessId(id) ? std::string(id) : NewRequestId();
  http_1_0_ = message.version() == 10;
  keep_alive_ = message.keep_alive();
}

void RequestReader::CheckHead() {
  auto& parser = parser_->parser;
  // absolute-form, as sent to proxies: the path is what counts here.
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (request_.target.rfind(scheme, 0) != 0) continue;
    const std::size_t slash = request_.target.find('/', scheme.size());
    request_.target = slash == std::string::npos ? "/" : request_.target.substr(slash);
  }
  if (request_.target.empty() || (request_.target[0] != '/' && request_.target != "*")) {
    return Fail(400, "the request target must begin with '/'");
  }
  const auto& message = parser.get();
  if (!http_1_0_ && message.count(http::field::host) != 1) {
    return Fail(400, "an HTTP/1.1 request needs exactly one Host header");
  }
  const std::size_t codings = message.count(http::field::transfer_encoding);
  if (codings > 1) return Fail(400, "more than one Transfer-Encoding header");
  if (codings == 1 && !parser.chunked()) {
    return Fail(501, "of the transfer encodings only \"chunked\" is known here");
  }
  if (http_1_0_ && codings == 1) return Fail(400, "HTTP/1.0 has no Transfer-Encoding");
  const auto length = parser.content_length();
  if (length && *length > limits_.body_bytes) {
    return Fail(413, Joined("the body has ", *length, " bytes, the limit is ", limits_.body_bytes));
  }
  if (!length && !parser.chunked() && request_.method == "POST") {
    return Fail(411, "a POST needs a Content-Length header or a chunked body");
  }
  if (const std::string_view expect = request_.Header("Expect"); !expect.empty()) {
    if (!SameName(expect, "100-continue")) {
      return Fail(417, "of Expect only \"100-continue\" is known here");
    }
    expects_continue_ = !http_1_0_ && state_ == State::kBody;
  }
  if (state_ == State::kBody) parser.body_limit(limits_.body_bytes);
}

void RequestReader::Fail(unsigned status, std::string message) {
  refusal_ = {status, std::move(message)};
  state_ = State::kFailed;
}

HttpRequest RequestReader::Take() {
  CHECK(state_ == State::kDone);
  HttpRequest request = std::move(request_);
  request.body = std::move(parser_->parser.get().body());
  request_ = {};
  parser_ = std::make_unique<Parser>();
  Prepare();
  state_ = State::kNothing;
  expects_continue_ = false;
  return request;
}

}  // namespace bramble::coordinator
