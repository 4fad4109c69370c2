#include "worker/link/attendance.h"

#include <grpcpp/channel.h>

#include <algorithm>
#include <utility>

#include "common/log.h"
#include "worker/link/attend_call.h"

namespace bramble::worker {

Attendance::Attendance(std::shared_ptr<grpc::Channel> channel, AttendanceOptions options)
    : channel_(std::move(channel)), options_(std::move(options)), thread_([this] { Loop(); }) {}

Attendance::~Attendance() {
  {
    const MutexLock lock(mu_);
    stopping_ = true;
  }
  changed_.NotifyAll();
  thread_.join();
}

bool Attendance::Pause(Clock::duration time) {
  const Clock::time_point end = Clock::now() + time;
  const MutexLock lock(mu_);
  while (!stopping_ && changed_.WaitUntil(mu_, end)) {
  }
  return stopping_;
}

void Attendance::Loop() {
  std::chrono::milliseconds pause = kShortestPause;
  while (true) {
    if (Attend()) pause = kShortestPause;
    if (Pause(pause)) return;
    pause = std::min(pause * 2, kLongestPause);
  }
}

bool Attendance::Attend() {
  const std::shared_ptr<AttendCall> call = AttendCall::Start(channel_);
  v1::AttendRequest first;
  *first.mutable_facts() = options_.facts;
  const auto beat = [&](v1::AttendRequest request) {
    request.set_epoch(options_.epoch());
    request.set_memory_available_bytes(options_.memory_available_bytes());
    if (options_.health) *request.mutable_health() = options_.health();
    call->Beat(std::move(request));
  };
  beat(std::move(first));
  bool arrived = false;
  // The first answer is looked for more often: whoever starts a worker waits for it.
  Clock::duration interval = kBeatInterval / 10;
  while (!call->WaitEnd(Clock::now() + interval)) {
    if (!arrived && call->answered()) {
      arrived = true;
      interval = kBeatInterval;
      last_failure_.clear();
      options_.on_arrived();
    }
    if (Pause(Clock::duration::zero())) {
      call->Leave();
      if (!call->WaitEnd(Clock::now() + kSilence)) call->Cancel();
      call->WaitEnd(Clock::time_point::max());
      return arrived;
    }
    if (Clock::now() - call->heard() > kSilence) {
      call->Cancel();
      call->WaitEnd(Clock::time_point::max());
      break;
    }
    if (arrived) beat({});
  }
  const Status end = call->end();
  const Status why = end.ok() ? Unavailable("the coordinator ended the stream") : end;
  if (why.message() != last_failure_) LogFailure("the coordinator is not there", why);
  last_failure_ = why.message();
  if (arrived) options_.on_lost(why);
  return arrived;
}

}  // namespace bramble::worker
