#pragma once

#include <chrono>
#include <optional>
#include <string_view>

#include "common/status.h"

namespace bramble {

// Tells systemd a state ("READY=1", "STATUS=loading", "WATCHDOG=1", "STOPPING=1"; lines are
// separated by \n) by the datagram protocol of sd_notify(3). Ok, and nothing happens, when
// $NOTIFY_SOCKET is not set. Thread-safe.
Status NotifySystemd(std::string_view state);

// Half of the interval in which systemd wants to hear WATCHDOG=1; none if it does not watch this
// process.
std::optional<std::chrono::milliseconds> WatchdogInterval();

}  // namespace bramble
