#include "cli/report.h"

#include <unistd.h>

#include <cstdio>

namespace bramble::cli {

bool OnTerminal() {
  static const bool on_terminal = isatty(STDERR_FILENO) == 1;
  return on_terminal;
}

int Fail(const Status& status) {
  EndProgress();
  std::fprintf(stderr, "bramble: %s\n", status.message().c_str());
  return 1;
}

void SayProgress(const std::string& line) {
  if (OnTerminal()) {
    std::fprintf(stderr, "\r\033[K%s", line.c_str());
    std::fflush(stderr);
  } else {
    std::fprintf(stderr, "%s\n", line.c_str());
  }
}

void EndProgress() {
  if (OnTerminal()) std::fputs("\r\033[K", stderr);
}

}  // namespace bramble::cli
