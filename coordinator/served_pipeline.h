#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "common/status.h"
#include "coordinator/cluster/pipeline.h"
#include "coordinator/serve/scheduler.h"
#include "coordinator/serve/step_channel.h"

namespace bramble::coordinator {

// Joins a pipeline and the scheduler: steps go down, what comes back goes up. Thread-safe. Life:
// made before the pipeline is loaded, since events may come while it still loads; closed before it
// is destroyed.
class ServedPipeline : public StepChannel, public PipelineEvents {
 public:
  using Lost = std::function<void(std::uint64_t epoch, const std::string& node_id, const Status&)>;

  // `scheduler` outlives it. `lost` must not block.
  ServedPipeline(std::uint64_t epoch, Scheduler* scheduler, Lost lost)
      : epoch_(epoch), scheduler_(scheduler), lost_(std::move(lost)) {}

  std::uint64_t epoch() const { return epoch_; }
  // Once, before the first Send.
  void Open(std::unique_ptr<Pipeline> pipeline) { pipeline_ = std::move(pipeline); }
  const Pipeline& pipeline() const { return *pipeline_; }
  void Close() {
    if (pipeline_) pipeline_->Close();
  }

  void Send(v1::Step step) override { pipeline_->Send(std::move(step)); }
  void OnResult(v1::StepResult result) override { scheduler_->OnResult(std::move(result)); }
  void OnFailure(v1::StepFailure failure) override { scheduler_->OnFailure(std::move(failure)); }
  void OnLost(const std::string& node_id, const Status& why) override {
    lost_(epoch_, node_id, why);
  }

 private:
  const std::uint64_t epoch_;
  Scheduler* const scheduler_;
  const Lost lost_;
  std::unique_ptr<Pipeline> pipeline_;
};

}  // namespace bramble::coordinator
