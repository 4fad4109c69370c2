#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "bramble/v1/program.pb.h"
#include "common/mutex.h"
#include "common/status.h"
#include "worker/store/weight_store.h"

namespace grpc {
class Channel;
class ClientContext;
}  // namespace grpc

namespace bramble::worker {

// A wish to stop what somebody waits for. Thread-safe.
class Cancellation {
 public:
  // Ends the call that is under way, and every later one at its start.
  void Cancel();
  bool cancelled() const;

 private:
  friend class CancellableCall;
  mutable Mutex mu_;
  bool cancelled_ GUARDED_BY(mu_) = false;
  grpc::ClientContext* call_ GUARDED_BY(mu_) = nullptr;
};

// Gets weights from the coordinator onto the disk. Not thread-safe: one load at a time. `store`
// outlives it.
class WeightFetcher {
 public:
  // The coordinator's channel must take messages of kMaxChunk bytes.
  // `received` is told of every chunk.
  WeightFetcher(std::shared_ptr<grpc::Channel> channel, WeightStore* store,
                std::function<void(std::uint64_t)> received = {})
      : channel_(std::move(channel)), store_(store), received_(std::move(received)) {}

  static constexpr std::size_t kMaxChunk = std::size_t{2} << 20;

  // Sees to it that every weight of a checked program, but for those that it carries itself, is in
  // the store and sound. Blocks. Broken connections are taken up again where they broke, up to
  // kAttempts times for each weight. `progress(done, total)`, in bytes, is called often.
  // ResourceExhausted: the disk is too small.
  Status FetchAll(const v1::Program& program,
                  const std::function<void(std::uint64_t, std::uint64_t)>& progress,
                  Cancellation* cancellation);

  static constexpr int kAttempts = 4;

 private:
  Status FetchOne(const v1::Weight& weight, Cancellation* cancellation,
                  const std::function<void(std::uint64_t)>& here);
  Status Receive(Download& download, const WeightHash& hash, Cancellation* cancellation,
                 const std::function<void(std::uint64_t)>& here);

  const std::shared_ptr<grpc::Channel> channel_;
  WeightStore* const store_;
  const std::function<void(std::uint64_t)> received_;
};

}  // namespace bramble::worker
