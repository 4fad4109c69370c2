#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "bramble/v1/cluster.pb.h"
#include "common/mutex.h"
#include "common/status.h"

namespace bramble::coordinator {

// What is known of one worker now.
struct Member {
  std::string node_id;
  v1::NodeFacts facts;                       // as it said when it came last
  bool present = false;                      // heard from within the last second
  std::uint64_t epoch = 0;                   // of the plan that it holds; 0: none
  std::uint64_t memory_available_bytes = 0;  // as of the last heartbeat
  double round_trip_seconds = 0;             // of the last heartbeat, as the worker measured it
  v1::NodeHealth health;                     // as of the last heartbeat; every number is finite
};

// What a heartbeat says.
struct Beat {
  std::uint64_t epoch = 0;
  std::uint64_t memory_available_bytes = 0;
  double round_trip_seconds = 0;
  v1::NodeHealth health = {};
};

// The workers that have attended since this coordinator started, and whether they are here.
// One that is gone is `present = false`; only one that was removed from the cluster is forgotten.
// Thread-safe.
class Members {
 public:
  using Clock = std::chrono::steady_clock;
  // A present member that was silent for this long is gone. Heartbeats come every 250 ms; a board
  // that other programs starve may miss some.
  static constexpr std::chrono::milliseconds kSilence{1500};

  // By node id.
  std::vector<Member> Snapshot() const;
  // `listener` is called after a member came or went, on the thread that noticed, possibly several
  // at once; it must not block. Set it once, before the first member.
  void SetListener(std::function<void()> listener);

  // For the service that hears the members (cluster/attend.h).
  // `visit` tells an older stream of the same member, that ends late, from a newer one.
  void Arrived(const std::string& node_id, std::uint64_t visit, const v1::NodeFacts& facts,
               Clock::time_point now = Clock::now());
  // False if the member is not known (any more).
  [[nodiscard]] bool Heard(const std::string& node_id, const Beat& beat,
                           Clock::time_point now = Clock::now());
  void Left(const std::string& node_id, std::uint64_t visit);
  // It was removed from the cluster: its next heartbeat ends its stream.
  void Forget(const std::string& node_id);
  // Marks those gone that were silent for kSilence.
  void DropSilent(Clock::time_point now = Clock::now());

 private:
  struct Entry {
    Member member;
    std::uint64_t visit = 0;
    Clock::time_point heard;
  };
  // Calls the listener. Requires that mu_ is not held.
  void Notify();

  mutable Mutex mu_;
  std::map<std::string, Entry> members_ GUARDED_BY(mu_);
  std::function<void()> listener_ GUARDED_BY(mu_);
};

}  // namespace bramble::coordinator
