#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/status.h"

namespace bramble {

// An address as people write it: "pi-3:8478", "192.168.1.4:8478", "[::1]:8478". The host has no
// brackets here.
struct HostPort {
  std::string host;
  std::uint16_t port = 0;

  // With brackets around an IPv6 address.
  std::string ToString() const;
};

// `what` names the setting or field in the error. An empty host (":8478") is refused; port 0 means
// "any free one".
Result<HostPort> ParseHostPort(std::string_view text, std::string_view what);

// 127.0.0.0/8, ::1 and "localhost". Any other name counts as public, wherever it may point to.
bool IsLoopback(std::string_view host);

// The rule that no listener opens on a public address without protection (TLS with certificates, or
// an API key). `what` names the setting; `remedy` says how to protect it, for the message. Ok for
// loopback addresses.
Status CheckListenAddress(const HostPort& address, bool is_protected, std::string_view what,
                          std::string_view remedy);

}  // namespace bramble
