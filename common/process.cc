#include "common/process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <sstream>
#include <system_error>
#include <utility>

#include "common/escape.h"

namespace bramble {
namespace {

using Deadline = std::chrono::steady_clock::time_point;

constexpr std::size_t kLongestLine = 65536;

std::string ErrnoText() { return std::generic_category().message(errno); }

// Poll's timeout: rounded up, so that it never spins before the deadline.
int MillisecondsUntil(Deadline deadline) {
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
  return static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 3'600'000));
}

// Our environment with `added` in place of variables of the same name.
std::vector<std::string> JoinedEnvironment(const std::map<std::string, std::string>& added) {
  std::vector<std::string> joined;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    if (!added.contains(std::string(text.substr(0, text.find('='))))) joined.emplace_back(text);
  }
  for (const auto& [name, value] : added) {
    std::string& entry = joined.emplace_back(name);
    entry += '=';
    entry += value;
  }
  return joined;
}

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  pointers.reserve(strings.size() + 1);
  for (std::string& text : strings) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

struct ChildSetup {
  char* const* arguments;
  char* const* environment;
  int output;   // becomes descriptor 1
  int log;      // becomes descriptor 2; -1: ours
  int failure;  // a closed-on-exec pipe for errno
  bool dies_with_us;
  pid_t parent;
};

// In the child, where only async-signal-safe calls are allowed: other threads of ours may have held
// any lock.
[[noreturn]] void RunChild(const ChildSetup& setup) {
  if (setup.dies_with_us) {
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != setup.parent) ::_exit(127);  // it died before the line above
  }
  sigset_t none;
  sigemptyset(&none);
  pthread_sigmask(SIG_SETMASK, &none, nullptr);  // a blocked SIGTERM would be inherited
  std::signal(SIGPIPE, SIG_DFL);
  const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  const bool placed = null >= 0 && ::dup2(null, 0) >= 0 && ::dup2(setup.output, 1) >= 0 &&
                      (setup.log < 0 || ::dup2(setup.log, 2) >= 0);
  if (placed) ::execve(setup.arguments[0], setup.arguments, setup.environment);
  const int error = errno;
  [[maybe_unused]] const ssize_t ignored = ::write(setup.failure, &error, sizeof error);
  ::_exit(127);
}

ProcessEnd EndOf(int wait_status) {
  if (WIFSIGNALED(wait_status)) return {128 + WTERMSIG(wait_status)};
  return {WEXITSTATUS(wait_status)};
}

struct Pipe {
  File read;
  File write;
};

Result<Pipe> MakePipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return Exhausted("cannot make a pipe: ", ErrnoText());
  return Pipe{File(ends[0]), File(ends[1])};
}

}  // namespace

std::string ProcessEnd::ToString() const {
  if (exit_code <= 128) return "exit code " + std::to_string(exit_code);
  const int number = exit_code - 128;
  const char* name = ::sigdescr_np(number);
  return "signal " + std::to_string(number) + " (" + (name != nullptr ? name : "unknown") + ")";
}

Result<std::unique_ptr<Process>> Process::Start(const ProcessOptions& options) {
  CHECK(!options.arguments.empty());
  const std::string& program = options.arguments[0];
  ASSIGN_OR_RETURN(Pipe output, MakePipe());
  ASSIGN_OR_RETURN(Pipe failure, MakePipe());
  File log;
  if (!options.log_path.empty()) {
    log = File(::open(options.log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
    if (!log.valid())
      return Failed("cannot write the log '", Printable(options.log_path), "': ", ErrnoText());
  }
  std::vector<std::string> arguments = options.arguments;
  std::vector<std::string> environment = JoinedEnvironment(options.environment);
  const std::vector<char*> argument_pointers = Pointers(arguments);
  const std::vector<char*> environment_pointers = Pointers(environment);
  const ChildSetup setup{argument_pointers.data(),
                         environment_pointers.data(),
                         output.write.descriptor(),
                         log.descriptor(),
                         failure.write.descriptor(),
                         options.dies_with_us,
                         ::getpid()};
  const pid_t pid = ::fork();
  if (pid < 0) return Exhausted("cannot start '", Printable(program), "': ", ErrnoText());
  if (pid == 0) RunChild(setup);
  std::unique_ptr<Process> process(new Process(pid, std::move(output.read)));
  failure.write.Close();
  int error = 0;
  ssize_t got = 0;
  do {
    got = ::read(failure.read.descriptor(), &error, sizeof error);
  } while (got < 0 && errno == EINTR);
  if (got == sizeof error) {
    return NotFound("cannot start '", Printable(program),
                    "': ", std::generic_category().message(error));
  }
  return process;
}

Process::~Process() {
  if (!Running()) return;
  Signal(SIGKILL);
  [[maybe_unused]] const auto ended = Wait(Deadline::max());
}

Result<std::string> Process::ReadLine(Deadline deadline) {
  for (;;) {
    if (const std::size_t end = buffer_.find('\n'); end != std::string::npos) {
      std::string line = buffer_.substr(0, end);
      buffer_.erase(0, end + 1);
      return line;
    }
    if (buffer_.size() > kLongestLine) {
      return Exhausted("process ", pid_, " wrote a line of more than ", kLongestLine, " bytes");
    }
    pollfd wanted{output_.descriptor(), POLLIN, 0};
    const int ready = ::poll(&wanted, 1, MillisecondsUntil(deadline));
    if (ready < 0 && errno != EINTR)
      return Internal("cannot wait for process ", pid_, ": ", ErrnoText());
    if (ready <= 0) {
      if (std::chrono::steady_clock::now() < deadline) continue;
      return DeadlineExceeded("process ", pid_, " wrote no further line in time");
    }
    std::array<char, 4096> part{};
    const ssize_t got = ::read(output_.descriptor(), part.data(), part.size());
    if (got < 0 && errno != EINTR)
      return Internal("cannot read from process ", pid_, ": ", ErrnoText());
    if (got > 0) buffer_.append(part.data(), static_cast<std::size_t>(got));
    if (got != 0) continue;
    // Its end follows within moments if it is why the output closed.
    const auto end =
        Wait(std::min(deadline, std::chrono::steady_clock::now() + std::chrono::seconds(2)));
    return Unavailable("process ", pid_, " closed its output",
                       end.ok() ? ": " + end->ToString() : "");
  }
}

Result<std::map<std::string, std::string>> Process::WaitReady(Deadline deadline) {
  for (;;) {
    ASSIGN_OR_RETURN(const std::string line, ReadLine(deadline));
    std::istringstream words(line);
    std::string word;
    words >> word;
    if (word != "ready") continue;
    std::map<std::string, std::string> pairs;
    while (words >> word) {
      const std::size_t equals = word.find('=');
      if (equals != std::string::npos) pairs[word.substr(0, equals)] = word.substr(equals + 1);
    }
    return pairs;
  }
}

bool Process::Running() { return !Wait(Deadline::min()).ok(); }

void Process::Signal(int number) {
  if (Running()) ::kill(pid_, number);
}

Result<ProcessEnd> Process::Wait(Deadline deadline) {
  if (ended_) return end_;
  // A descriptor of the process can be waited for with a deadline; waitpid alone cannot.
  const File handle(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
  for (;;) {
    int wait_status = 0;
    const pid_t got =
        ::waitpid(pid_, &wait_status, handle.valid() || deadline == Deadline::min() ? WNOHANG : 0);
    if (got == pid_) {
      ended_ = true;
      end_ = EndOf(wait_status);
      return end_;
    }
    if (got < 0 && errno != EINTR)
      return Internal("cannot wait for process ", pid_, ": ", ErrnoText());
    if (std::chrono::steady_clock::now() >= deadline)
      return DeadlineExceeded("process ", pid_, " still runs");
    pollfd wanted{handle.descriptor(), POLLIN, 0};
    if (handle.valid()) ::poll(&wanted, 1, MillisecondsUntil(deadline));
  }
}

ProcessEnd Process::Stop(std::chrono::milliseconds grace) {
  Signal(SIGTERM);
  auto ended = Wait(std::chrono::steady_clock::now() + grace);
  if (!ended.ok()) {
    Signal(SIGKILL);
    ended = Wait(Deadline::max());
  }
  return ended.ok() ? *ended : ProcessEnd{};
}

}  // namespace bramble
