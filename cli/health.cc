// bramble health: whether a daemon serves; for probes of containers and scripts.
#include <cstdio>

#include "cli/cluster_address.h"
#include "cli/report.h"
#include "cli/verbs.h"

namespace bramble::cli {
namespace {

constexpr int kNotReady = 3;
constexpr long kOk = 200;

}  // namespace

int RunHealth(const Settings& settings) {
  const HttpServerAddress address = ClusterAddress(settings);
  const auto reply = HttpClient(address).Get("/health");
  if (!reply.ok()) return Fail(reply.status());
  if (reply->status == kOk) {
    std::printf("%s serves\n", address.url.c_str());
    return 0;
  }
  std::fprintf(stderr, "bramble: %s does not serve yet: %s\n", address.url.c_str(),
               reply->body.c_str());
  return kNotReady;
}

}  // namespace bramble::cli
