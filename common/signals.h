#pragma once

#include <chrono>
#include <optional>

namespace bramble {

// Blocks SIGTERM and SIGINT in this thread and those it starts from now on, and ignores SIGPIPE.
// Call it first in main, before any thread exists (gRPC and OpenMP start theirs).
void BlockStopSignals();

// Waits for SIGTERM or SIGINT and returns its number. Requires BlockStopSignals.
int WaitForStopSignal();

// The same, but none when `timeout` came first.
std::optional<int> WaitForStopSignal(std::chrono::milliseconds timeout);

}  // namespace bramble
