#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "bramble/v1/cluster.pb.h"
#include "common/status.h"

namespace bramble::coordinator {

// What is known of one worker now.
struct Member {
  std::string node_id;
  v1::NodeFacts facts;
  bool present = false;  // heard from within the last second
  std::uint64_t memory_available_bytes = 0;
  double round_trip_seconds = 0;  // of the last heartbeat
};

// The workers that have joined, and whether they are here. Thread-safe.
class Members {
 public:
  std::vector<Member> Snapshot() const;
  // `listener` is called after a member came or went, on the thread that noticed; it must not block. Set it once.
  void SetListener(std::function<void()> listener);

  // For the service that hears the members (cluster/service.cc).
  void Arrived(const std::string& node_id, const v1::NodeFacts& facts);
  void Heard(const std::string& node_id, std::uint64_t memory_available_bytes, double round_trip_seconds);
  void Left(const std::string& node_id);

 private:
  void Notify();

  mutable std::mutex mu_;
  std::map<std::string, Member> members_;
  std::function<void()> listener_;
};

}  // namespace bramble::coordinator
