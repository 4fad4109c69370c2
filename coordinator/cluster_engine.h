#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "common/identity/authority.h"
#include "common/mutex.h"
#include "coordinator/cluster/members.h"
#include "coordinator/cluster/server.h"
#include "coordinator/engine.h"
#include "coordinator/metrics.h"
#include "coordinator/serve/clock.h"
#include "coordinator/serve/scheduler.h"
#include "coordinator/served_pipeline.h"
#include "coordinator/state/store.h"
#include "coordinator/weight_rows.h"

namespace bramble::coordinator {

// The Engine. One thread of its own plans, loads, notices losses and plans again
// (cluster_engine_loop.cc); everything else only leaves word for it. Not for others: engine.h is
// the face.
class ClusterEngine : public Engine {
 public:
  ClusterEngine(EngineOptions options, CertificateAuthority authority,
                std::unique_ptr<Store> store);
  ~ClusterEngine() override;
  ClusterEngine(const ClusterEngine&) = delete;
  ClusterEngine& operator=(const ClusterEngine&) = delete;

  // Listens and starts the thread. Once.
  Status Begin();

  Status WaitReady(std::chrono::steady_clock::time_point deadline) override;
  Generator& generator() override { return scheduler_; }
  ClusterSnapshot snapshot() const override;
  Result<std::string> CreateJoinToken() override;
  const std::string& grpc_address() const override { return grpc_address_; }
  Metrics& metrics() override { return metrics_; }
  std::string MetricsText() override;
  void Drain(std::chrono::steady_clock::time_point deadline) override;
  void Shutdown() override;

 private:
  using TimePoint = std::chrono::steady_clock::time_point;

  // What others have left for the thread.
  struct Mail {
    bool members_changed = false;
    bool lost = false;  // a stream of the pipeline that serves has ended
    bool stop = false;
    std::optional<std::string> lost_node;  // the first that was reported, and why
    Status lost_why;
  };

  const v1::Program& program() const;

  // The thread's.
  void Loop();
  Mail WaitForMail();
  void Consider(const Mail& mail);
  bool EnoughWorkers(const std::vector<Member>& members);
  void TryToServe();
  void Load(const Plan& plan, const std::vector<Member>& members);
  Result<Plan> MakePlan(const std::vector<Member>& members) const;
  Result<std::vector<Stage>> StagesOf(const Plan& plan, const std::vector<Member>& members);
  void Report(const LoadProgress& progress);
  void BeginServing(const Plan& plan);
  void EndServing(const Status& why);
  std::optional<std::string> FindLoss(const Mail& mail);
  void ReplanIfItHelps(const std::vector<Member>& members);
  void ForgetLosses();
  void SetLoading(bool loading);
  void SetState(EngineState state, const Status& why);
  void SavePlan(const Plan& plan, std::uint64_t epoch);
  void WakeAt(TimePoint time);

  const EngineOptions options_;
  const std::string name_;
  CertificateAuthority authority_;
  const std::unique_ptr<Store> store_;
  WeightRows weights_;
  std::string grpc_address_;

  Metrics metrics_;
  SteadyClock clock_;
  Members members_;
  Scheduler scheduler_;
  std::unique_ptr<ClusterServer> server_;
  std::once_flag server_down_;
  std::once_flag shut_down_;

  // The thread's.
  std::shared_ptr<ServedPipeline> serving_;
  bool planned_before_ = false;
  bool better_plan_wanted_ = false;  // looked for once nothing runs
  std::chrono::milliseconds backoff_{0};
  TimePoint retry_at_ = TimePoint::max();

  mutable Mutex mu_;
  Condition changed_;
  Mail mail_ GUARDED_BY(mu_);
  EngineState state_ GUARDED_BY(mu_) = EngineState::kWaiting;
  Status why_ GUARDED_BY(mu_);
  bool loading_ GUARDED_BY(mu_) = false;
  std::uint64_t epoch_ GUARDED_BY(mu_) = 0;
  std::optional<Plan> plan_ GUARDED_BY(mu_);
  std::vector<LoadProgress> progress_ GUARDED_BY(mu_);
  std::vector<LoadedStage> loaded_ GUARDED_BY(mu_);
  std::uint32_t context_length_ GUARDED_BY(mu_) = 0;

  std::thread thread_;
};

}  // namespace bramble::coordinator
