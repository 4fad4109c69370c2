#include "coordinator/cluster/pipeline.h"

#include <grpcpp/channel.h>
#include <grpcpp/security/credentials.h>

#include <algorithm>
#include <utility>

#include "bramble/v1/run.grpc.pb.h"
#include "common/channel.h"
#include "common/check.h"
#include "common/log.h"
#include "common/mutex.h"
#include "coordinator/cluster/load_call.h"
#include "coordinator/cluster/run_call.h"
#include "proto/program/plan_buffers.h"

namespace bramble::coordinator {
namespace {

// What an output has beside its logits: ids, probabilities, the best entries.
constexpr std::size_t kOutputBytes = 1024;

// The longest answer that this worker may send.
std::size_t LargestResponse(const Stage& stage, const v1::Limits& limits) {
  const std::size_t output = std::size_t{stage.shard.vocabulary_size()} * 4 + kOutputBytes;
  std::size_t values = 0;
  for (const v1::Stream& stream : stage.shard.streams()) {
    if (stream.leaves()) values += program::MostRows(stream.rows(), limits) * stream.width() * 4;
  }
  return kSmallMessage + std::size_t{limits.max_outputs()} * output + values;
}

v1::Peer PeerOf(const Stage& stage) {
  v1::Peer peer;
  peer.set_node_id(stage.node_id);
  peer.set_address(stage.address);
  return peer;
}

class Streams : public Pipeline {
 public:
  Streams(std::vector<Stage> stages, const PipelineOptions& options, PipelineEvents* events)
      : stages_(std::move(stages)),
        last_(stages_.size() - stages_.back().members),
        options_(options),
        events_(events) {}
  ~Streams() override { Shut(); }
  Streams(const Streams&) = delete;
  Streams& operator=(const Streams&) = delete;

  Status Open(const std::shared_ptr<grpc::ChannelCredentials>& credentials,
              const std::function<void(const LoadProgress&)>& progress);

  const std::vector<LoadedStage>& loaded() const override { return loaded_; }
  void Send(v1::Step step) override;
  void Close() override { Shut(); }

 private:
  struct Line {
    std::unique_ptr<v1::WorkerService::Stub> stub;
    std::shared_ptr<LoadCall> load;
    std::shared_ptr<RunCall> run;
    bool pending = false;  // a call that has not ended
    bool open = false;     // of Run
  };

  v1::LoadRequest RequestFor(std::size_t index) const;
  Status LoadAll(const std::function<void(const LoadProgress&)>& progress);
  Status RunAll();
  void Loaded(std::size_t index, Result<LoadedStage> result);
  void Opened(std::size_t index);
  void Ended(std::size_t index, const Status& why);
  void Respond(std::size_t index, v1::RunResponse response);
  bool AllOpen() const REQUIRES(mu_);
  bool AnyPending() const REQUIRES(mu_);
  void CancelAll() REQUIRES(mu_);
  // Ends the streams and waits for them.
  void Shut();

  const std::vector<Stage> stages_;
  const std::size_t last_;  // whose answers count: the first worker of the last stage
  const PipelineOptions options_;
  PipelineEvents* const events_;
  std::vector<LoadedStage> loaded_;

  Mutex progress_mu_;  // held while `progress` runs
  Mutex mu_;
  Condition changed_;
  std::vector<Line> lines_ GUARDED_BY(mu_);
  Status failure_ GUARDED_BY(mu_);        // the first
  bool closing_ GUARDED_BY(mu_) = false;  // events are not called any more
};

v1::LoadRequest Streams::RequestFor(std::size_t index) const {
  v1::LoadRequest request;
  request.set_epoch(options_.epoch);
  *request.mutable_program() = stages_[index].shard;
  *request.mutable_limits() = options_.limits;
  const Stage& stage = stages_[index];
  const std::size_t first = index - stage.member;  // of its group
  const std::size_t next = first + stage.members;
  if (stage.members > 1) {
    for (std::size_t i = first; i < next; ++i) *request.add_members() = PeerOf(stages_[i]);
    request.set_member(stage.member);
    if (stage.member > 0) return request;
  }
  request.set_first(first == 0);
  request.set_last(next == stages_.size());
  if (first > 0) {
    const Stage& before = stages_[first - 1];
    request.set_previous(stages_[first - 1 - before.member].node_id);
  }
  if (!request.last()) *request.mutable_next() = PeerOf(stages_[next]);
  return request;
}

Status Streams::Open(const std::shared_ptr<grpc::ChannelCredentials>& credentials,
                     const std::function<void(const LoadProgress&)>& progress) {
  {
    const MutexLock lock(mu_);
    for (const Stage& stage : stages_) {
      const auto channel =
          OpenChannel(stage.address, credentials,
                      {.expected_node = stage.node_id,
                       .max_receive_bytes = LargestResponse(stage, options_.limits)});
      lines_.emplace_back().stub = v1::WorkerService::NewStub(channel);
    }
  }
  RETURN_IF_ERROR(LoadAll(progress));
  return RunAll();
}

Status Streams::LoadAll(const std::function<void(const LoadProgress&)>& progress) {
  loaded_.resize(stages_.size());
  const auto report = [this, progress](const LoadProgress& p) {
    if (!progress) return;
    const MutexLock lock(progress_mu_);
    progress(p);
  };
  const MutexLock lock(mu_);
  for (std::size_t i = 0; i < stages_.size(); ++i) {
    Line& line = lines_[i];
    line.pending = true;
    line.load = LoadCall::Start(
        line.stub.get(), stages_[i].node_id, RequestFor(i),
        {.on_progress = report,
         .on_end = [this, i](Result<LoadedStage> result) { Loaded(i, std::move(result)); }});
  }
  while (AnyPending()) changed_.Wait(mu_);
  return failure_;
}

void Streams::Loaded(std::size_t index, Result<LoadedStage> result) {
  const MutexLock lock(mu_);
  lines_[index].pending = false;
  lines_[index].load.reset();
  if (result.ok()) {
    loaded_[index] = *std::move(result);
  } else if (failure_.ok()) {
    failure_ = result.status();
    CancelAll();
  }
  changed_.NotifyAll();
}

Status Streams::RunAll() {
  const MutexLock lock(mu_);
  for (std::size_t i = 0; i < stages_.size(); ++i) {
    Line& line = lines_[i];
    line.pending = true;
    line.run = RunCall::Start(
        line.stub.get(), options_.epoch,
        {.on_open = [this, i] { Opened(i); },
         .on_response = [this, i](v1::RunResponse response) { Respond(i, std::move(response)); },
         .on_end = [this, i](const Status& why) { Ended(i, why); }});
  }
  while (failure_.ok() && !AllOpen()) changed_.Wait(mu_);
  return failure_;
}

void Streams::Opened(std::size_t index) {
  const MutexLock lock(mu_);
  lines_[index].open = true;
  changed_.NotifyAll();
}

void Streams::Ended(std::size_t index, const Status& why) {
  const std::string& node_id = stages_[index].node_id;
  // A stream has no good end but ours.
  const Status reason =
      (why.ok() ? Unavailable("it ended the stream") : why).WithContext("worker " + node_id);
  bool lost = false;
  {
    const MutexLock lock(mu_);
    lost = !closing_ && AllOpen();
    if (failure_.ok()) failure_ = reason;
  }
  if (lost) {
    LogFailure("a stage is lost", reason, {{"node", node_id}, {"epoch", options_.epoch}});
    events_->OnLost(node_id, reason);
  }
  // Only now: Close waits for it, and no event follows Close.
  const MutexLock lock(mu_);
  lines_[index].pending = false;
  changed_.NotifyAll();
}

void Streams::Respond(std::size_t index, v1::RunResponse response) {
  {
    const MutexLock lock(mu_);
    if (closing_) return;
  }
  const bool last = index == last_;
  if (response.has_result() && last && response.result().epoch() == options_.epoch) {
    events_->OnResult(std::move(*response.mutable_result()));
  } else if (response.has_failure() && last && response.failure().epoch() == options_.epoch) {
    events_->OnFailure(std::move(*response.mutable_failure()));
  } else {
    LogWarn("a worker's answer fits no step of ours", {{"node", stages_[index].node_id}});
  }
}

void Streams::Send(v1::Step step) {
  step.set_epoch(options_.epoch);
  std::shared_ptr<RunCall> first;
  {
    const MutexLock lock(mu_);
    if (closing_) return;
    first = lines_.front().run;
  }
  first->Send(std::move(step));
}

bool Streams::AllOpen() const {
  return std::all_of(lines_.begin(), lines_.end(), [](const Line& line) { return line.open; });
}

bool Streams::AnyPending() const {
  return std::any_of(lines_.begin(), lines_.end(), [](const Line& line) { return line.pending; });
}

void Streams::CancelAll() {
  for (const Line& line : lines_) {
    if (line.load != nullptr) line.load->Cancel();
    if (line.run != nullptr) line.run->Cancel();
  }
}

void Streams::Shut() {
  const MutexLock lock(mu_);
  closing_ = true;
  CancelAll();
  while (AnyPending()) changed_.Wait(mu_);
  lines_.clear();
}

}  // namespace

Result<std::unique_ptr<Pipeline>> Pipeline::Load(
    std::vector<Stage> stages, const PipelineOptions& options,
    const std::shared_ptr<grpc::ChannelCredentials>& credentials, PipelineEvents* events,
    const std::function<void(const LoadProgress&)>& progress) {
  CHECK(!stages.empty() && events != nullptr);
  auto streams = std::make_unique<Streams>(std::move(stages), options, events);
  RETURN_IF_ERROR(streams->Open(credentials, progress));
  return std::unique_ptr<Pipeline>(std::move(streams));
}

}  // namespace bramble::coordinator
