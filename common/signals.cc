#include "common/signals.h"

#include <cerrno>
#include <csignal>
#include <ctime>

#include "common/check.h"

namespace bramble {
namespace {

sigset_t StopSignals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  return set;
}

}  // namespace

void BlockStopSignals() {
  const sigset_t set = StopSignals();
  CHECK(pthread_sigmask(SIG_BLOCK, &set, nullptr) == 0);
  CHECK(std::signal(SIGPIPE, SIG_IGN) != SIG_ERR);
}

int WaitForStopSignal() {
  const sigset_t set = StopSignals();
  int number = 0;
  CHECK(sigwait(&set, &number) == 0);
  return number;
}

std::optional<int> WaitForStopSignal(std::chrono::milliseconds timeout) {
  const sigset_t set = StopSignals();
  const auto end = std::chrono::steady_clock::now() + timeout;
  for (;;) {
    const auto left = std::max(std::chrono::nanoseconds(0),
                               std::chrono::nanoseconds(end - std::chrono::steady_clock::now()));
    timespec time{};
    time.tv_sec = static_cast<std::time_t>(left.count() / 1'000'000'000);
    time.tv_nsec = static_cast<long>(left.count() % 1'000'000'000);
    const int number = sigtimedwait(&set, nullptr, &time);
    if (number > 0) return number;
    if (errno == EAGAIN) return std::nullopt;
    CHECK(errno == EINTR);
  }
}

}  // namespace bramble
