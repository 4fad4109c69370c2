#pragma once

#include <grpcpp/support/server_callback.h>

#include <deque>
#include <memory>

#include "bramble/v1/run.pb.h"
#include "common/mutex.h"
#include "worker/link/stage.h"

namespace bramble::worker {

// The coordinator's stream to a stage: the first stage's inlet, the last one's outlet, and on every
// stage what holds it: the stage ends when the stream does. Owns itself until OnDone. Thread-safe.
class RunStream : public grpc::ServerBidiReactor<v1::RunRequest, v1::RunResponse>,
                  public Link,
                  public Inlet,
                  public Outlet {
 public:
  static std::shared_ptr<RunStream> Make(std::shared_ptr<Stage> stage);
  // A stream that ends at once.
  static RunStream* Refuse(const Status& why);

  // Answers the coordinator that the stage is ready, and takes steps from then on.
  void Open();

  void Close(const Status& why) override;
  void Taken(std::uint64_t number) override;
  void Send(Work work) override;
  // Results are small, but logits are not.
  std::size_t depth() const override { return 16; }

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override { self_.reset(); }

 private:
  explicit RunStream(std::shared_ptr<Stage> stage) : stage_(std::move(stage)) {}
  void WriteNext() REQUIRES(mu_);
  Status TakeStep();
  // Reads on while the stage has room.
  void ReadNext() REQUIRES(mu_);

  const std::shared_ptr<Stage> stage_;
  std::shared_ptr<RunStream> self_;
  v1::RunRequest request_;

  Mutex mu_;
  v1::RunResponse response_;  // on its way while writing_
  std::deque<v1::RunResponse> waiting_ GUARDED_BY(mu_);
  bool writing_ GUARDED_BY(mu_) = false;
  bool reading_ GUARDED_BY(mu_) = false;
  std::uint32_t untaken_ GUARDED_BY(mu_) = 0;  // steps given to the stage that it has not taken
  bool closed_ GUARDED_BY(mu_) = false;
};

}  // namespace bramble::worker
