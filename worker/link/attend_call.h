#pragma once

#include <grpcpp/client_context.h>
#include <grpcpp/support/client_callback.h>

#include <chrono>
#include <cstdint>
#include <memory>

#include "bramble/v1/cluster.grpc.pb.h"
#include "common/mutex.h"
#include "common/status.h"

namespace bramble::worker {

// One stream of heartbeats. Owns itself until OnDone. Thread-safe.
class AttendCall : public grpc::ClientBidiReactor<v1::AttendRequest, v1::AttendResponse> {
 public:
  using Clock = std::chrono::steady_clock;

  static std::shared_ptr<AttendCall> Start(const std::shared_ptr<grpc::Channel>& channel);

  // Sends a heartbeat, unless the one before is still on its way. Numbers it, and adds the round
  // trip of the last one.
  void Beat(v1::AttendRequest request);
  // Says goodbye; the coordinator then ends the stream.
  void Leave();
  void Cancel() { context_.TryCancel(); }

  // When the coordinator was heard last; the start before that.
  Clock::time_point heard() const;
  bool answered() const;
  // Waits for the end of the stream. False if the time came first.
  bool WaitEnd(Clock::time_point deadline);
  // Requires that it has ended.
  Status end() const;

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnDone(const grpc::Status& status) override;

 private:
  explicit AttendCall(const std::shared_ptr<grpc::Channel>& channel);

  const std::unique_ptr<v1::CoordinatorService::Stub> stub_;
  grpc::ClientContext context_;
  v1::AttendResponse response_;
  std::shared_ptr<AttendCall> self_;

  mutable Mutex mu_;
  Condition changed_;
  v1::AttendRequest request_;  // on its way while writing_
  bool writing_ GUARDED_BY(mu_) = false;
  bool closed_ GUARDED_BY(mu_) = false;  // no operation may start any more
  bool answered_ GUARDED_BY(mu_) = false;
  bool ended_ GUARDED_BY(mu_) = false;
  Status end_ GUARDED_BY(mu_);
  std::uint64_t beat_ GUARDED_BY(mu_) = 0;
  Clock::time_point beat_sent_ GUARDED_BY(mu_);
  double round_trip_seconds_ GUARDED_BY(mu_) = 0;
  Clock::time_point heard_ GUARDED_BY(mu_) = Clock::now();
};

}  // namespace bramble::worker
