#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "common/status.h"

namespace bramble::worker {

// The other members of a group that runs one program in slices: what an executor meets them by.
// One thread at a time.
class Peers {
 public:
  virtual ~Peers() = default;
  Peers() = default;
  Peers(const Peers&) = delete;
  Peers& operator=(const Peers&) = delete;

  // All that follows belongs to this step; what came for earlier ones is dropped.
  virtual void Begin(std::uint64_t step) = 0;
  // Gives the bytes of a meeting to `receiver`, or to every other member. Never blocks.
  virtual void Send(std::uint32_t meeting, std::optional<std::uint32_t> receiver,
                    std::string bytes) = 0;
  // Waits for what `member` brings to a meeting. The member's own reason if it has failed in this
  // step; Unavailable when it is lost, or has brought nothing for too long.
  virtual Result<std::string> Await(std::uint32_t member, std::uint32_t meeting) = 0;
  // The step has failed here: whoever waits for this member in this step is told.
  virtual void Fail(const Status& why) = 0;
};

}  // namespace bramble::worker
