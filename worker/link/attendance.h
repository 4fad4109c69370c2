#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "bramble/v1/cluster.pb.h"
#include "common/mutex.h"
#include "common/status.h"

namespace grpc {
class Channel;
}

namespace bramble::worker {

struct AttendanceOptions {
  v1::NodeFacts facts;
  // What each heartbeat says. On the attendance's thread; must not block.
  std::function<std::uint64_t()> epoch;
  std::function<std::uint64_t()> memory_available_bytes;
  std::function<v1::NodeHealth()> health;  // may be left out
  // The coordinator hears us, for the first time or again.
  std::function<void()> on_arrived;
  // The coordinator is gone, or silent; we go on trying.
  std::function<void(const Status&)> on_lost;
};

class AttendCall;

// This worker's presence at its coordinator: heartbeats both ways, for as long as the object lives.
// Where the stream ends it is opened again, after a pause that grows. The callbacks come from one
// thread of its own.
class Attendance {
 public:
  static constexpr std::chrono::milliseconds kBeatInterval{250};
  // A coordinator that echoes nothing for so long is gone.
  static constexpr std::chrono::milliseconds kSilence{2000};
  static constexpr std::chrono::milliseconds kShortestPause{100};
  static constexpr std::chrono::milliseconds kLongestPause{2000};

  Attendance(std::shared_ptr<grpc::Channel> channel, AttendanceOptions options);
  // Takes leave and waits for it.
  ~Attendance();
  Attendance(const Attendance&) = delete;
  Attendance& operator=(const Attendance&) = delete;

 private:
  using Clock = std::chrono::steady_clock;

  void Loop();
  // One stream from its begin to its end; true if the coordinator answered on it.
  bool Attend();
  // Waits for the time, or for Stop. True when it is time to stop.
  bool Pause(Clock::duration time);

  const std::shared_ptr<grpc::Channel> channel_;
  const AttendanceOptions options_;
  std::string last_failure_;  // logged once, not at every attempt

  Mutex mu_;
  Condition changed_;
  bool stopping_ GUARDED_BY(mu_) = false;
  std::thread thread_;  // the last: it uses the others
};

}  // namespace bramble::worker
