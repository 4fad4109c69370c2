#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "cli/http_client.h"
#include "common/settings.h"
#include "common/status.h"

namespace bramble::cli {

// Where a running coordinator answers when nothing else is said.
inline constexpr const char* kDefaultUrl = "http://127.0.0.1:8479";

// From the settings url, api-key and ca-file.
HttpServerAddress ClusterAddress(const Settings& settings);

// The object that it answers `path` ("/bramble/v1/cluster") with. Denied where a key is missing.
Result<nlohmann::ordered_json> AskCluster(const Settings& settings, const std::string& path);

}  // namespace bramble::cli
