#include "worker/metrics_answer.h"

namespace bramble::worker {
namespace {

constexpr std::string_view kPlain = "text/plain; charset=utf-8";
// Prometheus 3 refuses a scrape without exactly such a type.
constexpr std::string_view kExposition = "text/plain; version=0.0.4; charset=utf-8";

std::string Reply(std::string_view status, std::string_view type, std::string_view body,
                  bool with_body = true, std::string_view more = "") {
  std::string reply = "HTTP/1.1 ";
  reply.append(status).append("\r\nContent-Type: ").append(type);
  reply.append("\r\nContent-Length: ").append(std::to_string(body.size()));
  reply.append("\r\nConnection: close\r\n").append(more).append("\r\n");
  if (with_body) reply.append(body);
  return reply;
}

// The next word of a line; takes it and one space off.
std::string_view Word(std::string_view& line) {
  const std::size_t space = line.find(' ');
  const std::string_view word = line.substr(0, space);
  line.remove_prefix(space == std::string_view::npos ? line.size() : space + 1);
  return word;
}

}  // namespace

std::string RefuseMetrics(std::string_view status, std::string_view why) {
  return Reply(status, kPlain, std::string(why) + "\n");
}

std::string AnswerMetrics(std::string_view head, bool member, const MetricsOptions& options) {
  std::string_view line = head.substr(0, head.find("\r\n"));
  const std::string_view method = Word(line);
  std::string_view path = Word(line);
  if (path.empty() || path.front() != '/' || !line.starts_with("HTTP/1."))
    return RefuseMetrics("400 Bad Request", "this is not a request of HTTP/1");
  path = path.substr(0, path.find('?'));
  if (path != "/metrics" && path != "/health")
    return RefuseMetrics("404 Not Found", "there is /metrics and /health");
  const bool with_body = method != "HEAD";
  if (method != "GET" && method != "HEAD") {
    return Reply("405 Method Not Allowed", kPlain, "only GET and HEAD\n", true,
                 "Allow: GET, HEAD\r\n");
  }
  if (path == "/health") {
    return options.healthy() ? Reply("200 OK", kPlain, "ok\n", with_body)
                             : Reply("503 Service Unavailable", kPlain,
                                     "the coordinator does not hear this worker\n", with_body);
  }
  if (!member) {
    return Reply("403 Forbidden", kPlain,
                 "metrics are for members of the cluster: show a certificate of its authority\n",
                 with_body);
  }
  return Reply("200 OK", kExposition, options.metrics(), with_body);
}

}  // namespace bramble::worker
