#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "worker/metrics_listener.h"

namespace bramble::worker {

// The whole reply to one request, whose head (all up to the empty line) it reads. `member`: the
// client may see metrics.
std::string AnswerMetrics(std::string_view head, bool member, const MetricsOptions& options);

// A reply without a request that can be understood: "431 Request Header Fields Too Large".
std::string RefuseMetrics(std::string_view status, std::string_view why);

}  // namespace bramble::worker
