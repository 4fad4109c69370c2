#pragma once

#include "cli/http_client.h"
#include "common/settings.h"

namespace bramble::cli {

// Where a running coordinator answers when nothing else is said.
inline constexpr const char* kDefaultUrl = "http://127.0.0.1:8479";

// From the settings url, api-key and ca-file.
HttpServerAddress ClusterAddress(const Settings& settings);

}  // namespace bramble::cli
