#include "coordinator/cluster/members.h"

#include <utility>

#include "common/log.h"

namespace bramble::coordinator {

std::vector<Member> Members::Snapshot() const {
  const MutexLock lock(mu_);
  std::vector<Member> members;
  members.reserve(members_.size());
  for (const auto& [node_id, entry] : members_) members.push_back(entry.member);
  return members;
}

void Members::SetListener(std::function<void()> listener) {
  const MutexLock lock(mu_);
  listener_ = std::move(listener);
}

void Members::Arrived(const std::string& node_id, std::uint64_t visit, const v1::NodeFacts& facts,
                      Clock::time_point now) {
  {
    const MutexLock lock(mu_);
    Entry& entry = members_[node_id];
    entry.member = Member();
    entry.member.node_id = node_id;
    entry.member.facts = facts;
    entry.member.present = true;
    entry.visit = visit;
    entry.heard = now;
  }
  LogInfo("worker is here", {{"node", node_id},
                             {"address", facts.address()},
                             {"memory_limit_bytes", facts.memory_limit_bytes()},
                             {"threads", facts.threads()}});
  Notify();
}

bool Members::Heard(const std::string& node_id, const Beat& beat, Clock::time_point now) {
  bool returned = false;
  {
    const MutexLock lock(mu_);
    const auto found = members_.find(node_id);
    if (found == members_.end()) return false;
    Entry& entry = found->second;
    entry.heard = now;
    entry.member.epoch = beat.epoch;
    entry.member.memory_available_bytes = beat.memory_available_bytes;
    entry.member.round_trip_seconds = beat.round_trip_seconds;
    entry.member.health = beat.health;
    // Its stream outlived a silence: it was frozen, and thawed.
    returned = !std::exchange(entry.member.present, true);
  }
  if (!returned) return true;
  LogInfo("worker is heard again", {{"node", node_id}});
  Notify();
  return true;
}

void Members::Left(const std::string& node_id, std::uint64_t visit) {
  {
    const MutexLock lock(mu_);
    const auto found = members_.find(node_id);
    if (found == members_.end() || found->second.visit != visit) return;
    if (!std::exchange(found->second.member.present, false)) return;
  }
  LogInfo("worker left", {{"node", node_id}});
  Notify();
}

void Members::Forget(const std::string& node_id) {
  {
    const MutexLock lock(mu_);
    if (members_.erase(node_id) == 0) return;
  }
  LogInfo("worker was removed", {{"node", node_id}});
  Notify();
}

void Members::DropSilent(Clock::time_point now) {
  std::vector<std::string> lost;
  {
    const MutexLock lock(mu_);
    for (auto& [node_id, entry] : members_) {
      if (!entry.member.present || now - entry.heard < kSilence) continue;
      entry.member.present = false;
      lost.push_back(node_id);
    }
  }
  for (const std::string& node_id : lost) LogWarn("worker is silent", {{"node", node_id}});
  if (!lost.empty()) Notify();
}

void Members::Notify() {
  std::function<void()> listener;
  {
    const MutexLock lock(mu_);
    listener = listener_;
  }
  if (listener) listener();
}

}  // namespace bramble::coordinator
