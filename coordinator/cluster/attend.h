#pragma once

#include <grpcpp/support/server_callback.h>

#include <atomic>
#include <cstdint>
#include <memory>

#include "bramble/v1/cluster.pb.h"
#include "common/identity/identity.h"
#include "common/mutex.h"
#include "common/status.h"
#include "coordinator/cluster/members.h"

namespace bramble::coordinator {

// Refuses facts that make no sense: a missing or broken address, absurd lengths. What a member says
// of itself is shown to people and put into plans.
Status CheckFacts(const v1::NodeFacts& facts);

// `health` without what no board can mean: numbers that are not finite, bits without a name.
v1::NodeHealth SoundHealth(v1::NodeHealth health);

// The stream of one member: hears its heartbeats and echoes the newest. Lives until OnDone. gRPC's
// threads only.
class AttendStream : public grpc::ServerBidiReactor<v1::AttendRequest, v1::AttendResponse> {
 public:
  // A stream that owns itself until OnDone. `members` outlives the server. Start() or End()
  // follows.
  static std::shared_ptr<AttendStream> Make(PeerIdentity who, Members* members);

  void Start();
  // Finishes the call, once.
  void End(const Status& why);

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  AttendStream(PeerIdentity who, Members* members);
  // Empty when the message is good.
  Status Take();
  void Echo() REQUIRES(mu_);

  const PeerIdentity who_;
  Members* const members_;
  const std::uint64_t visit_;
  v1::AttendRequest request_;
  std::atomic<bool> arrived_ = false;
  std::shared_ptr<AttendStream> self_;

  Mutex mu_;
  v1::AttendResponse response_;  // on its way while writing_
  std::uint64_t newest_beat_ GUARDED_BY(mu_) = 0;
  bool writing_ GUARDED_BY(mu_) = false;
  bool ended_ GUARDED_BY(mu_) = false;
};

}  // namespace bramble::coordinator
