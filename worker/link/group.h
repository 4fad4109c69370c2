#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "bramble/v1/run.pb.h"
#include "common/mutex.h"
#include "common/status.h"
#include "worker/exec/peers.h"
#include "worker/link/stage.h"

namespace bramble::worker {

// What takes messages to one other member.
class MeetOutlet {
 public:
  virtual ~MeetOutlet() = default;
  // Never blocks.
  virtual void Send(v1::MeetRequest request) = 0;
};

// The workers that run one stage together, as one of them sees them. A link of its stage: it ends
// with it. Peers is the compute thread's; all else is for any thread.
class Group final : public Peers, public Link {
 public:
  // `own`: which of the members this worker is.
  Group(std::uint64_t epoch, std::vector<v1::Peer> members, std::uint32_t own)
      : epoch_(epoch), own_(own), members_(std::move(members)), outlets_(members_.size()) {}

  const std::vector<v1::Peer>& members() const { return members_; }
  std::uint32_t own() const { return own_; }
  bool leads() const { return own_ == 0; }
  // Which member this node is; none: it is none, or this worker itself.
  std::optional<std::uint32_t> MemberOf(const std::string& node_id) const;

  // Messages to the member go here from now on. AlreadyExists if there is a way already; the reason
  // of the end when it has ended.
  Status Connect(std::uint32_t member, std::shared_ptr<MeetOutlet> outlet);
  // Passes a step that came to the first member on to the others.
  void PassOn(const v1::ForwardRequest& step);
  // A part or a failure has come. InvalidArgument: it is neither; ResourceExhausted: too much
  // waits.
  Status Take(std::uint32_t member, v1::MeetRequest request);

  void Begin(std::uint64_t step) override;
  void Send(std::uint32_t meeting, std::optional<std::uint32_t> receiver,
            std::string bytes) override;
  Result<std::string> Await(std::uint32_t member, std::uint32_t meeting) override;
  void Fail(const Status& why) override;

  void Close(const Status& why) override;

 private:
  // Step, meeting, member.
  using Key = std::tuple<std::uint64_t, std::uint32_t, std::uint32_t>;

  void SendToAll(const v1::MeetRequest& request);
  std::optional<Result<std::string>> Look(const Key& key) REQUIRES(mu_);

  const std::uint64_t epoch_;
  const std::uint32_t own_;
  const std::vector<v1::Peer> members_;
  std::uint64_t step_ = 0;  // the compute thread's

  Mutex mu_;
  Condition changed_;
  std::vector<std::shared_ptr<MeetOutlet>> outlets_ GUARDED_BY(mu_);  // [member]
  std::map<Key, std::string> brought_ GUARDED_BY(mu_);
  std::map<std::pair<std::uint64_t, std::uint32_t>, Status> failed_ GUARDED_BY(mu_);
  std::optional<Status> end_ GUARDED_BY(mu_);
};

}  // namespace bramble::worker
