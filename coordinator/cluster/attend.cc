#include "coordinator/cluster/attend.h"

#include <cmath>

#include "common/grpc_status.h"
#include "common/log.h"
#include "common/net.h"

namespace bramble::coordinator {
namespace {

// A name, a feature, an operation: nothing honest is longer.
constexpr int kMaxNames = 256;
constexpr std::size_t kMaxName = 256;

std::uint64_t NextVisit() {
  static std::atomic<std::uint64_t> visits{0};
  return ++visits;
}

template <typename Names>
bool Absurd(const Names& names) {
  if (names.size() > kMaxNames) return true;
  for (const auto& name : names) {
    if (name.size() > kMaxName) return true;
  }
  return false;
}

}  // namespace

Status CheckFacts(const v1::NodeFacts& facts) {
  ASSIGN_OR_RETURN(const HostPort address, ParseHostPort(facts.address(), "facts.address"));
  if (address.port == 0) return Invalid("facts.address: ", facts.address(), " has no port");
  if (facts.version().size() > kMaxName || facts.architecture().size() > kMaxName ||
      facts.cpu().size() > kMaxName || Absurd(facts.features()) || Absurd(facts.operations()) ||
      facts.speed().encodings_size() > kMaxNames) {
    return Invalid("facts: a name is longer than ", kMaxName, " bytes, or a list than ", kMaxNames);
  }
  if (!facts.metrics_address().empty())
    RETURN_IF_ERROR(ParseHostPort(facts.metrics_address(), "facts.metrics_address").status());
  if (facts.memory_limit_bytes() == 0) return Invalid("facts.memory_limit_bytes is missing");
  return {};
}

v1::NodeHealth SoundHealth(v1::NodeHealth health) {
  constexpr std::uint32_t kThrottledBits = 0xF;
  if (!std::isfinite(health.hottest_celsius())) health.clear_hottest_celsius();
  if (!std::isfinite(health.slowest_hertz())) health.clear_slowest_hertz();
  if (!std::isfinite(health.max_hertz())) health.clear_max_hertz();
  if (health.has_throttled()) health.set_throttled(health.throttled() & kThrottledBits);
  return health;
}

AttendStream::AttendStream(PeerIdentity who, Members* members)
    : who_(std::move(who)), members_(members), visit_(NextVisit()) {}

std::shared_ptr<AttendStream> AttendStream::Make(PeerIdentity who, Members* members) {
  std::shared_ptr<AttendStream> stream(new AttendStream(std::move(who), members));
  stream->self_ = stream;
  return stream;
}

void AttendStream::Start() {
  const MutexLock lock(mu_);
  if (!ended_) StartRead(&request_);
}

void AttendStream::OnReadDone(bool ok) {
  if (!ok) {
    End({});
    return;
  }
  if (const Status status = Take(); !status.ok()) {
    LogFailure("a member's heartbeat is refused", status, {{"node", who_.node_id}});
    End(status);
    return;
  }
  const MutexLock lock(mu_);
  if (ended_) return;
  newest_beat_ = request_.beat();
  if (!writing_) Echo();
  StartRead(&request_);
}

Status AttendStream::Take() {
  if (!arrived_) {
    if (!request_.has_facts()) return Invalid("the first message of Attend has no facts");
    RETURN_IF_ERROR(CheckFacts(request_.facts()));
    members_->Arrived(who_.node_id, visit_, request_.facts());
    arrived_ = true;
  }
  const double round_trip = request_.round_trip_seconds();
  const Beat beat = {.epoch = request_.epoch(),
                     .memory_available_bytes = request_.memory_available_bytes(),
                     .round_trip_seconds = std::isfinite(round_trip) ? round_trip : 0,
                     .health = SoundHealth(request_.health())};
  if (members_->Heard(who_.node_id, beat)) return {};
  return Denied("'", who_.node_id, "' was removed from this cluster");
}

void AttendStream::Echo() {
  response_.set_beat(newest_beat_);
  writing_ = true;
  StartWrite(&response_);
}

void AttendStream::OnWriteDone(bool ok) {
  const MutexLock lock(mu_);
  writing_ = false;
  if (ok && !ended_ && newest_beat_ != response_.beat()) Echo();
}

void AttendStream::OnCancel() { End({Code::kCancelled, "the member went away"}); }

void AttendStream::End(const Status& why) {
  if (arrived_) members_->Left(who_.node_id, visit_);
  const MutexLock lock(mu_);
  if (ended_) return;
  ended_ = true;
  Finish(ToGrpc(why));
}

void AttendStream::OnDone() {
  // Again: OnCancel may have come while the first message was being taken.
  members_->Left(who_.node_id, visit_);
  self_.reset();
}

}  // namespace bramble::coordinator
