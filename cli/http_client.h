#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "common/status.h"

namespace bramble::cli {

struct HttpReply {
  long status = 0;  // 200, 404, ...
  std::string body;
};

// Where a coordinator's HTTP side is, and how to get in.
struct HttpServerAddress {
  std::string url;      // http://host:port or https://host:port, no path
  std::string api_key;  // empty: none is sent
  std::string ca_file;  // PEM; empty: the system's
};

// One request at a time over libcurl. Any thread, not several at once.
// Unavailable where nothing answers; the message names the address.
class HttpClient {
 public:
  explicit HttpClient(HttpServerAddress address);

  Result<HttpReply> Get(const std::string& path) const;
  Result<HttpReply> Post(const std::string& path, const std::string& json) const;
  // Calls `on_data` with the body as it arrives; returning false ends the transfer. A reply that is
  // not 200 is collected in the result instead.
  Result<HttpReply> PostStreaming(const std::string& path, const std::string& json,
                                  const std::function<bool(std::string_view)>& on_data) const;

 private:
  HttpServerAddress address_;
};

struct Download {
  std::string url;
  std::string path;          // where the file ends up; `path`.part while it grows
  std::string bearer_token;  // empty: none
  std::string sha256;        // hex; empty: not checked
  std::uint64_t bytes = 0;   // expected; 0: not known
};

// Fetches a file, going on where an earlier try ended. `progress` gets (bytes so far, bytes in all
// or 0). DataLoss where the hash differs (the partial file is then removed); nothing is fetched if
// the file is already there.
Status Fetch(const Download& download,
             const std::function<void(std::uint64_t, std::uint64_t)>& progress);

}  // namespace bramble::cli
