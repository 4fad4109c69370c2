#include <nlohmann/json.hpp>

#include "common/version.h"
#include "coordinator/api/answer_writer.h"
#include "coordinator/api/endpoints.h"

namespace bramble::coordinator {

void ServeHealth(const Call& call) {
  const Status health = call.api.health();
  if (!health.ok()) {
    ApiError error = FromStatus(health);
    error.status = 503;
    if (error.retry_after == 0) error.retry_after = 1;
    return call.exchange->Reply(ErrorReply(error));
  }
  HttpReply reply;
  reply.body = R"({"status":"ok"})";
  call.exchange->Reply(std::move(reply));
}

void ServeMetrics(const Call& call) {
  HttpReply reply;
  // Prometheus 3 refuses a scrape without exactly such a type.
  reply.content_type = "text/plain; version=0.0.4; charset=utf-8";
  reply.body = call.api.metrics();
  call.exchange->Reply(std::move(reply));
}

void ServeVersion(const Call& call) {
  HttpReply reply;
  reply.body = Dump({{"version", kVersion}});
  call.exchange->Reply(std::move(reply));
}

void ServeCluster(const Call& call) {
  HttpReply reply;
  reply.body = call.api.cluster();
  call.exchange->Reply(std::move(reply));
}

void ServeTargets(const Call& call) {
  HttpReply reply;
  reply.body = call.api.targets();
  call.exchange->Reply(std::move(reply));
}

}  // namespace bramble::coordinator
