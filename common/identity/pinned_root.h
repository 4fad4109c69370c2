#pragma once

#include <chrono>
#include <string>

#include "common/net.h"
#include "common/status.h"

namespace bramble {

// Shakes hands (TLS, ALPN h2) with a server that is not trusted yet, and returns the PEM of the
// self-signed certificate in its chain whose key has this fingerprint (64 hex digits, from a join
// token). Nothing is sent beyond the handshake. PermissionDenied if no certificate has it (the
// wrong cluster, or somebody in between); Unavailable or DeadlineExceeded if there is no answer.
// Blocks until then.
// Requires that SIGPIPE is ignored (BlockStopSignals): OpenSSL writes plainly.
Result<std::string> FetchPinnedRoot(const HostPort& address, const std::string& fingerprint,
                                    std::chrono::steady_clock::time_point deadline);

}  // namespace bramble
