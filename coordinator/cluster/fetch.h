#pragma once

#include <grpcpp/support/server_callback.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>

#include "bramble/v1/cluster.pb.h"
#include "common/mutex.h"
#include "common/status.h"
#include "coordinator/cluster/task_thread.h"

namespace bramble::coordinator {

// The encoded bytes of the weight with this hash (32 raw bytes); they stay valid until the cluster
// server has shut down. NotFound for any other hash. Called on one thread of the server's; may read
// a disk.
using WeightSource = std::function<Result<std::span<const std::byte>>(std::string_view sha256)>;

// Sends a weight in chunks. Each is copied by `tasks`, for the model file behind it is mapped and a
// page of it may have to come from the disk. Lives until OnDone.
class FetchStream : public grpc::ServerWriteReactor<v1::FetchWeightResponse>,
                    public std::enable_shared_from_this<FetchStream> {
 public:
  static constexpr std::size_t kChunkBytes = std::size_t{1} << 20;

  // A stream that owns itself until OnDone. `source` and `tasks` outlive the server.
  static FetchStream* Make(const v1::FetchWeightRequest& request, const WeightSource& source,
                           TaskThread* tasks);

  void Start();
  // Finishes the call, once.
  void End(const Status& why);

  void OnWriteDone(bool ok) override;
  void OnCancel() override { End({Code::kCancelled, "the worker went away"}); }
  void OnDone() override { self_.reset(); }

 private:
  FetchStream(const v1::FetchWeightRequest& request, const WeightSource& source, TaskThread* tasks)
      : sha256_(request.sha256()), offset_(request.offset()), source_(source), tasks_(tasks) {}
  void PostNext();
  // On the task thread.
  void SendNext();
  Status Find();

  const std::string sha256_;
  std::uint64_t offset_;
  const WeightSource& source_;
  TaskThread* const tasks_;
  bool found_ = false;
  std::span<const std::byte> bytes_;
  v1::FetchWeightResponse response_;
  std::shared_ptr<FetchStream> self_;

  Mutex mu_;
  bool ended_ GUARDED_BY(mu_) = false;
};

}  // namespace bramble::coordinator
