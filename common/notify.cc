#include "common/notify.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <system_error>

#include "common/escape.h"
#include "common/files.h"

namespace bramble {

Status NotifySystemd(std::string_view state) {
  const char* path = std::getenv("NOTIFY_SOCKET");
  if (path == nullptr || *path == '\0') return {};
  const std::string_view name(path);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if ((name[0] != '/' && name[0] != '@') || name.size() >= sizeof address.sun_path) {
    return Invalid("NOTIFY_SOCKET='", Printable(name), "' is not the name of a socket");
  }
  std::memcpy(address.sun_path, name.data(), name.size());
  if (name[0] == '@')
    address.sun_path[0] = '\0';  // Linux's abstract sockets begin with a zero byte
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
  const File socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket.valid())
    return Unavailable("cannot make a socket for NOTIFY_SOCKET: ",
                       std::generic_category().message(errno));
  const ssize_t sent = ::sendto(socket.descriptor(), state.data(), state.size(), MSG_NOSIGNAL,
                                reinterpret_cast<const sockaddr*>(&address), size);
  if (sent < 0) {
    return Unavailable("cannot send to NOTIFY_SOCKET='", Printable(name),
                       "': ", std::generic_category().message(errno));
  }
  return {};
}

std::optional<std::chrono::milliseconds> WatchdogInterval() {
  const auto number = [](const char* variable) -> std::optional<std::int64_t> {
    const char* text = std::getenv(variable);
    if (text == nullptr) return std::nullopt;
    std::int64_t value = 0;
    const char* end = text + std::strlen(text);
    const auto parsed = std::from_chars(text, end, value);
    if (parsed.ec != std::errc() || parsed.ptr != end) return std::nullopt;
    return value;
  };
  const auto microseconds = number("WATCHDOG_USEC");
  const auto process = number("WATCHDOG_PID");
  if (!microseconds || *microseconds < 2000 || (process && *process != ::getpid()))
    return std::nullopt;
  return std::chrono::milliseconds(*microseconds / 2000);
}

}  // namespace bramble
