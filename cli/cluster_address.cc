#include "cli/cluster_address.h"

namespace bramble::cli {

HttpServerAddress ClusterAddress(const Settings& settings) {
  return {settings.TextOr("url", kDefaultUrl), settings.TextOr("api-key", ""),
          settings.TextOr("ca-file", "")};
}

}  // namespace bramble::cli
