#include "cli/cluster_address.h"

namespace bramble::cli {

HttpServerAddress ClusterAddress(const Settings& settings) {
  return {settings.TextOr("url", kDefaultUrl), settings.TextOr("api-key", ""),
          settings.TextOr("ca-file", "")};
}

Result<nlohmann::ordered_json> AskCluster(const Settings& settings, const std::string& path) {
  const HttpServerAddress address = ClusterAddress(settings);
  ASSIGN_OR_RETURN(const HttpReply reply, HttpClient(address).Get(path));
  nlohmann::ordered_json json = nlohmann::ordered_json::parse(reply.body, nullptr, false);
  if (reply.status == 401)
    return Denied(address.url, " wants an API key: --api-key-file FILE or BRAMBLE_API_KEY");
  if (reply.status != 200 || !json.is_object())
    return Failed(address.url, path, " answered with HTTP status ", reply.status);
  return json;
}

}  // namespace bramble::cli
