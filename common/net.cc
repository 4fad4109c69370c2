#include "common/net.h"

#include <arpa/inet.h>

#include <charconv>

#include "common/escape.h"

namespace bramble {
namespace {

bool IsHostCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_';
}

bool IsHostName(std::string_view host) {
  if (host.empty() || host.size() > 253) return false;
  for (const char c : host) {
    if (!IsHostCharacter(c)) return false;
  }
  return true;
}

}  // namespace

std::string HostPort::ToString() const {
  const bool is_ipv6 = host.find(':') != std::string::npos;
  return (is_ipv6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Result<HostPort> ParseHostPort(std::string_view text, std::string_view what) {
  const std::size_t colon = text.rfind(':');
  const auto wrong = [&](std::string_view why) {
    return Invalid(what, " '", Printable(text), "' ", why,
                   "; write HOST:PORT, as 192.168.1.4:8478 or [::1]:8478");
  };
  if (colon == std::string_view::npos || text.ends_with("]")) return wrong("has no port");
  const std::string_view digits = text.substr(colon + 1);
  HostPort parsed;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), parsed.port);
  if (error != std::errc() || end != digits.data() + digits.size()) {
    return wrong("has no port from 0 to 65535 after the last colon");
  }
  std::string_view host = text.substr(0, colon);
  if (host.empty()) return wrong("has no host (0.0.0.0 means every interface)");
  if (host.front() == '[') {
    if (host.back() != ']') return wrong("has an opening bracket without a closing one");
    host = host.substr(1, host.size() - 2);
    in6_addr ignored{};
    if (inet_pton(AF_INET6, std::string(host).c_str(), &ignored) != 1)
      return wrong("has no IPv6 address in its brackets");
  } else if (host.find(':') != std::string_view::npos) {
    return wrong("has an IPv6 address without brackets");
  } else if (!IsHostName(host)) {
    return wrong("has a host that is neither a name nor an address");
  }
  parsed.host = host;
  return parsed;
}

bool IsLoopback(std::string_view host) {
  const std::string name(host);
  in_addr four{};
  if (inet_pton(AF_INET, name.c_str(), &four) == 1) return (ntohl(four.s_addr) >> 24U) == 127;
  in6_addr six{};
  if (inet_pton(AF_INET6, name.c_str(), &six) == 1) return IN6_IS_ADDR_LOOPBACK(&six);
  return host == "localhost";
}

Status CheckListenAddress(const HostPort& address, bool is_protected, std::string_view what,
                          std::string_view remedy) {
  if (is_protected || IsLoopback(address.host)) return {};
  return Failed(what, " ", address.ToString(),
                " can be reached from other machines and has no protection: ", remedy,
                ", or listen on 127.0.0.1:", address.port);
}

}  // namespace bramble
