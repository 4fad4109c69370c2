#pragma once

#include <grpcpp/support/server_callback.h>

#include <memory>
#include <string>

#include "bramble/v1/run.pb.h"
#include "common/mutex.h"
#include "worker/link/stage.h"

namespace bramble::worker {

// The stream from the stage before: takes steps, gives credits. The stage ends when the stream
// does. Owns itself until OnDone. Thread-safe.
class ForwardReceiver : public grpc::ServerBidiReactor<v1::ForwardRequest, v1::ForwardResponse>,
                        public Link,
                        public Inlet {
 public:
  static std::shared_ptr<ForwardReceiver> Make(std::shared_ptr<Stage> stage);
  // A stream that ends at once.
  static ForwardReceiver* Refuse(const Status& why);

  // Gives the first credits.
  void Open();

  void Close(const Status& why) override;
  void Taken(std::uint64_t number) override;

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override { self_.reset(); }

 private:
  explicit ForwardReceiver(std::shared_ptr<Stage> stage) : stage_(std::move(stage)) {}
  bool CreditIsDue() const REQUIRES(mu_);
  void WriteCredit() REQUIRES(mu_);
  Status Lost() const;

  const std::shared_ptr<Stage> stage_;
  std::shared_ptr<ForwardReceiver> self_;
  v1::ForwardRequest request_;

  Mutex mu_;
  v1::ForwardResponse response_;  // on its way while writing_
  std::uint64_t taken_ GUARDED_BY(mu_) = 0;
  bool writing_ GUARDED_BY(mu_) = false;
  bool closed_ GUARDED_BY(mu_) = false;
};

}  // namespace bramble::worker
