#pragma once

#include <grpcpp/support/server_callback.h>

#include <cstdint>
#include <memory>
#include <string>

#include "bramble/v1/run.pb.h"
#include "common/mutex.h"
#include "worker/link/group.h"
#include "worker/link/stage.h"

namespace bramble::worker {

// The stream from another member of the group: what it brings to meetings; from the first one the
// steps, too. The stage ends when the stream does. Owns itself until OnDone. Thread-safe.
class MeetReceiver : public grpc::ServerBidiReactor<v1::MeetRequest, v1::MeetResponse>,
                     public Link,
                     public Inlet {
 public:
  // Requires that the stage has a group; `member`: whose stream it is.
  static std::shared_ptr<MeetReceiver> Make(std::shared_ptr<Stage> stage, std::uint32_t member);
  // A stream that ends at once.
  static MeetReceiver* Refuse(const Status& why);

  // Says that messages are taken from now on.
  void Open();

  void Close(const Status& why) override;
  void Taken(std::uint64_t number) override;

  void OnReadDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override { self_.reset(); }

 private:
  MeetReceiver(std::shared_ptr<Stage> stage, std::uint32_t member)
      : stage_(std::move(stage)), member_(member) {}
  Status TakeMessage() REQUIRES(mu_);
  // Reads on while the stage has room for a step: what belongs to a step follows it.
  void ReadNext() REQUIRES(mu_);
  const std::string& NodeId() const;
  Status Lost() const;

  const std::shared_ptr<Stage> stage_;
  const std::uint32_t member_;
  std::shared_ptr<MeetReceiver> self_;
  v1::MeetRequest request_;
  v1::MeetResponse response_;

  Mutex mu_;
  bool reading_ GUARDED_BY(mu_) = false;
  std::uint32_t untaken_ GUARDED_BY(mu_) = 0;  // steps given to the stage that it has not taken
  bool closed_ GUARDED_BY(mu_) = false;
};

}  // namespace bramble::worker
