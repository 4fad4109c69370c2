#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <thread>

#include "bramble/v1/run.pb.h"
#include "common/mutex.h"
#include "common/status.h"
#include "worker/link/compute_thread.h"
#include "worker/link/weight_fetcher.h"
#include "worker/service/load_stream.h"
#include "worker/service/shard.h"
#include "worker/service/stage_slot.h"
#include "worker/store/weight_store.h"

namespace bramble::worker {

// What the worker needs besides any program, in bytes: code, TLS, gRPC's buffers, threads (25 MB of
// resident memory were measured for a worker that holds nothing, 20 of them code that the workers
// of a machine share; November 2026, x86-64).
inline constexpr std::uint64_t kRestBytes = std::uint64_t{24} << 20;

// Refuses what does not fit into `limit` bytes, with the sum. Requires a checked program and
// limits.
Status CheckMemory(const v1::Program& program, const v1::Limits& limits, std::uint64_t limit);

// Refuses a request that does not hold together, program included, before anything is made for it.
Status CheckLoadRequest(const v1::LoadRequest& request);

// Loads stages, one after the other, on a thread of its own: checks, makes room, fetches, builds. A
// new request cancels the one that is under way. The pointers outlive it. Thread-safe.
class Loader {
 public:
  Loader(ShardOptions options, WeightStore* store, WeightFetcher fetcher, ComputeThread* compute,
         StageSlot* slot);
  // Stops, and waits.
  ~Loader();
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  // `request` lives as long as the stream.
  void Submit(const v1::LoadRequest* request, std::shared_ptr<LoadStream> stream);
  // Cancels what is under way, and refuses what comes.
  void Stop();

 private:
  struct Job {
    const v1::LoadRequest* request = nullptr;
    std::shared_ptr<LoadStream> stream;
  };
  void Loop();
  Result<v1::LoadResponse> Load(const Job& job);
  Result<v1::LoadResponse> Build(const v1::LoadRequest& request);

  const ShardOptions options_;
  WeightStore* const store_;
  WeightFetcher fetcher_;
  ComputeThread* const compute_;
  StageSlot* const slot_;

  Mutex mu_;
  Condition changed_;
  std::deque<Job> jobs_ GUARDED_BY(mu_);  // the first one is under way
  bool stopping_ GUARDED_BY(mu_) = false;
  std::thread thread_;  // the last: it uses the others
};

}  // namespace bramble::worker
