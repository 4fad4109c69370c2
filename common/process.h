#pragma once

#include <sys/types.h>

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/files.h"
#include "common/status.h"

namespace bramble {

struct ProcessOptions {
  std::vector<std::string> arguments;              // the first is the program's path
  std::map<std::string, std::string> environment;  // added to ours
  std::string log_path;                            // stderr is appended here; empty: our stderr
  bool dies_with_us =
      true;  // SIGTERM to it when the thread that started it ends (Linux: thread, not process)
};

// How a process ended.
struct ProcessEnd {
  int exit_code = 0;             // 128 + signal if a signal ended it
  std::string ToString() const;  // "exit code 1", "signal 9 (Killed)"
};

// A child process whose standard output we read line by line. Not thread-safe.
class Process {
 public:
  static Result<std::unique_ptr<Process>> Start(const ProcessOptions& options);
  // Kills it if it still runs, and waits.
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }
  // The next line of its standard output, without the end of line. DeadlineExceeded, or Unavailable
  // when it closed its output (the message has its exit code if it ended). A line of more than 64
  // KiB is an error.
  Result<std::string> ReadLine(std::chrono::steady_clock::time_point deadline);
  // Reads lines up to "ready key=value ..." and returns the pairs.
  Result<std::map<std::string, std::string>> WaitReady(
      std::chrono::steady_clock::time_point deadline);
  bool Running();
  // Sends a signal if it runs.
  void Signal(int number);
  // Waits for its end. DeadlineExceeded if it still runs then.
  Result<ProcessEnd> Wait(std::chrono::steady_clock::time_point deadline);
  // SIGTERM, and SIGKILL after `grace`; waits.
  ProcessEnd Stop(std::chrono::milliseconds grace = std::chrono::seconds(10));

 private:
  Process(pid_t pid, File output) : pid_(pid), output_(std::move(output)) {}

  pid_t pid_;
  File output_;
  std::string buffer_;
  bool ended_ = false;
  ProcessEnd end_;
};

}  // namespace bramble
