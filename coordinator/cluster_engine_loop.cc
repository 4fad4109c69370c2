// ClusterEngine's thread: from members to a plan that serves, again and again.
#include <algorithm>
#include <utility>

#include "common/log.h"
#include "coordinator/cluster_engine.h"
#include "coordinator/devices.h"
#include "coordinator/plan/slices.h"
#include "coordinator/plan/summary.h"
#include "model/model.h"
#include "proto/program/shard.h"
#include "proto/program/slice.h"

namespace bramble::coordinator {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// When a worker dies its neighbours report too, and may be first. Whoever is gone is known this
// much later.
constexpr milliseconds kWhoIsGone{300};
// Workers that start together arrive one after the other: a better plan is looked for when none has
// come for this long.
constexpr milliseconds kArrivals{1000};
// A better plan is worth a reload if it is at least this much faster.
constexpr double kWorthReloading = 1.1;
constexpr milliseconds kFirstBackoff{1000};
constexpr milliseconds kLongestBackoff{30'000};

const Member* FindMember(const std::vector<Member>& members, const std::string& node_id) {
  const auto found = std::find_if(members.begin(), members.end(),
                                  [&](const Member& member) { return member.node_id == node_id; });
  return found == members.end() ? nullptr : &*found;
}

double CostOf(const Plan& plan) {
  return plan.objective == Objective::kThroughput ? plan.slowest_stage_seconds : plan.row_seconds;
}

}  // namespace

void ClusterEngine::Loop() {
  for (;;) {
    const Mail mail = WaitForMail();
    if (mail.stop) break;
    Consider(mail);
  }
  EndServing(Unavailable("the coordinator is stopping"));
}

ClusterEngine::Mail ClusterEngine::WaitForMail() {
  const MutexLock lock(mu_);
  while (!mail_.members_changed && !mail_.lost && !mail_.stop) {
    if (retry_at_ == TimePoint::max()) {
      changed_.Wait(mu_);
    } else if (!changed_.WaitUntil(mu_, retry_at_) && steady_clock::now() >= retry_at_) {
      retry_at_ = TimePoint::max();
      return {};
    }
  }
  Mail mail = std::exchange(mail_, Mail());
  mail_.stop = mail.stop;  // for good
  return mail;
}

void ClusterEngine::WakeAt(TimePoint time) { retry_at_ = std::min(retry_at_, time); }

void ClusterEngine::Consider(const Mail& mail) {
  const std::vector<Member> members = members_.Snapshot();
  metrics_.MembersAre(members);
  if (serving_) {
    if (const std::optional<std::string> loss = FindLoss(mail)) {
      metrics_.WorkerLost();
      LogWarn("a stage is lost", {{"epoch", serving_->epoch()}, {"why", *loss}});
      EndServing(Unavailable(*loss, "; the answer can't be finished: ask again"));
    } else {
      if (mail.members_changed) {
        better_plan_wanted_ = true;
        WakeAt(steady_clock::now() + kArrivals);
      } else if (better_plan_wanted_) {
        ReplanIfItHelps(members);
      }
      if (serving_) return;
    }
  }
  // A plan that a worker refused, or that could not be loaded: not again before the members change
  // or time has passed.
  if (!mail.members_changed && !mail.lost && retry_at_ != TimePoint::max()) return;
  TryToServe();
}

// Why the plan that serves can't go on, if it can't: in words that name the worker.
std::optional<std::string> ClusterEngine::FindLoss(const Mail& mail) {
  std::set<std::string> stages;
  {
    const MutexLock lock(mu_);
    for (const PlannedStage& stage : plan_->stages) stages.insert(stage.node_id);
  }
  const TimePoint patience = steady_clock::now() + kWhoIsGone;
  for (;;) {
    const std::vector<Member> members = members_.Snapshot();
    for (const std::string& node_id : stages) {
      const Member* member = FindMember(members, node_id);
      if (member == nullptr) return "worker '" + node_id + "' was removed from the cluster";
      if (!member->present) return "worker '" + node_id + "' was lost";
    }
    if (!mail.lost) return std::nullopt;
    const MutexLock lock(mu_);
    if (mail_.stop || steady_clock::now() >= patience) break;
    changed_.WaitUntil(mu_, patience);
  }
  return "worker '" + mail.lost_node.value_or("?") + "' was lost: " + mail.lost_why.message();
}

bool ClusterEngine::EnoughWorkers(const std::vector<Member>& members) {
  const auto present = static_cast<std::uint32_t>(std::count_if(
      members.begin(), members.end(), [](const Member& member) { return member.present; }));
  // Once there was a plan, whoever is left goes on with what there is.
  const std::uint32_t needed = planned_before_ ? 1 : std::max(options_.wait_workers, 1U);
  if (present >= needed) return true;
  SetState(EngineState::kWaiting,
           Unavailable(present, " of ", needed, needed == 1 ? " worker is" : " workers are",
                       " here: waiting for the others"));
  return false;
}

void ClusterEngine::TryToServe() {
  const std::vector<Member> members = members_.Snapshot();
  if (!EnoughWorkers(members)) return;
  Result<Plan> plan = MakePlan(members);
  const std::vector<std::string> unusable = UnusableMembers(members, program());
  if (!plan.ok()) {
    std::string text = plan.status().message();
    for (const std::string& line : unusable) text += "\n  " + line;
    const Status why(plan.status().code(), text);
    LogFailure("no plan", why);
    SetState(EngineState::kRefused, why);
    return;
  }
  for (const std::string& line : unusable) plan->reasons.push_back(line);
  plan->model = name_;
  planned_before_ = true;
  Load(*plan, members);
}

Result<Plan> ClusterEngine::MakePlan(const std::vector<Member>& members) const {
  return PlanProgram(program(), UsableDevices(members, program()), options_.limits,
                     options_.objective, options_.sharding);
}

Result<std::vector<Stage>> ClusterEngine::StagesOf(const Plan& plan,
                                                   const std::vector<Member>& members) {
  std::vector<Stage> stages;
  stages.reserve(plan.stages.size());
  for (auto group = plan.stages.begin(); group != plan.stages.end(); group += group->members) {
    const v1::Program shard =
        program::ExtractShard(program(), group->first_block, group->block_count);
    const program::SliceOptions options =
        SliceOptionsOf({group, group + group->members}, options_.limits);
    for (std::uint32_t member = 0; member < group->members; ++member) {
      const std::string& node_id = (group + member)->node_id;
      Stage& stage = stages.emplace_back();
      stage.node_id = node_id;
      stage.address = FindMember(members, node_id)->facts.address();
      stage.members = group->members;
      stage.member = member;
      if (group->members == 1) {
        stage.shard = shard;
        continue;
      }
      ASSIGN_OR_RETURN(stage.shard,
                       program::MakeSlice(shard, options, member,
                                          [this](const v1::Weight& weight, std::uint64_t first,
                                                 std::uint64_t count) {
                                            return weights_.HashOf(weight, first, count);
                                          }));
    }
  }
  return stages;
}

void ClusterEngine::Load(const Plan& plan, const std::vector<Member>& members) {
  const Result<std::uint64_t> epoch = store_->NextEpoch();
  if (!epoch.ok()) {
    LogFailure("no plan", epoch.status());
    return SetState(EngineState::kRefused, epoch.status());
  }
  {
    const MutexLock lock(mu_);
    epoch_ = *epoch;
    plan_ = plan;
    loaded_.clear();
    progress_.clear();
    for (const PlannedStage& stage : plan.stages) progress_.push_back({stage.node_id, 0, 0});
  }
  SetState(EngineState::kLoading, {});
  for (const PlannedStage& stage : plan.stages) {
    LogInfo("stage planned", {{"epoch", *epoch},
                              {"node", stage.node_id},
                              {"first", stage.first_name},
                              {"last", stage.last_name},
                              {"weight_bytes", stage.weight_bytes},
                              {"needed_bytes", stage.needed_bytes()}});
  }
  auto served = std::make_shared<ServedPipeline>(
      *epoch, &scheduler_, [this](std::uint64_t, const std::string& node_id, const Status& why) {
        const MutexLock lock(mu_);
        mail_.lost = true;
        if (!mail_.lost_node) {
          mail_.lost_node = node_id;
          mail_.lost_why = why;
        }
        changed_.NotifyAll();
      });
  Result<std::vector<Stage>> stages = StagesOf(plan, members);
  Result<std::unique_ptr<Pipeline>> pipeline =
      stages.ok()
          ? Pipeline::Load(*std::move(stages), {*epoch, plan.limits}, server_->credentials(),
                           served.get(), [this](const LoadProgress& progress) { Report(progress); })
          : stages.status();
  SetLoading(false);
  if (!pipeline.ok()) {
    ForgetLosses();
    LogFailure("loading failed", pipeline.status(), {{"epoch", *epoch}});
    backoff_ = std::clamp(backoff_ * 2, kFirstBackoff, kLongestBackoff);
    retry_at_ = steady_clock::now() + backoff_;
    return SetState(EngineState::kRefused, pipeline.status());
  }
  backoff_ = milliseconds(0);
  served->Open(*std::move(pipeline));
  serving_ = std::move(served);
  BeginServing(plan);
}

void ClusterEngine::Report(const LoadProgress& progress) {
  const MutexLock lock(mu_);
  for (LoadProgress& known : progress_) {
    if (known.node_id == progress.node_id) known = progress;
  }
}

void ClusterEngine::BeginServing(const Plan& plan) {
  ServePlan serve = DescribeProgram(program());
  serve.epoch = serving_->epoch();
  serve.stages = StageCount(plan);
  serve.limits = plan.limits;
  serve.context_length = static_cast<std::uint32_t>(
      std::min<std::uint64_t>(program().context_length(),
                              std::uint64_t{plan.limits.pages()} * plan.limits.page_positions()));
  if (serve.whole_sequences) {
    serve.context_length = std::min(serve.context_length, plan.limits.max_rows());
  }
  {
    const MutexLock lock(mu_);
    loaded_ = serving_->pipeline().loaded();
    context_length_ = serve.context_length;
  }
  retry_at_ = TimePoint::max();
  metrics_.Planned(serve.epoch, &plan);
  SavePlan(plan, serve.epoch);
  scheduler_.Attach(serve, serving_);
  LogInfo(
      "serving",
      {{"epoch", serve.epoch}, {"stages", serve.stages}, {"context_length", serve.context_length}});
  SetState(EngineState::kReady, {});
}

void ClusterEngine::EndServing(const Status& why) {
  if (!serving_) return;
  LogInfo("the plan ends", {{"epoch", serving_->epoch()}, {"why", why.message()}});
  // The state first: whoever hears that a request has ended may ask.
  SetState(EngineState::kWaiting, why);
  {
    const MutexLock lock(mu_);
    plan_.reset();
    loaded_.clear();
    progress_.clear();
    context_length_ = 0;
  }
  scheduler_.Detach(why);
  serving_->Close();
  serving_.reset();
  metrics_.Planned(0, nullptr);
  ForgetLosses();
}

// Only while nothing runs: a reload ends every request.
void ClusterEngine::ReplanIfItHelps(const std::vector<Member>& members) {
  const ServeSnapshot now = scheduler_.snapshot();
  if (now.running + now.queued > 0) return WakeAt(steady_clock::now() + kArrivals);
  better_plan_wanted_ = false;
  const Result<Plan> better = MakePlan(members);
  if (!better.ok()) return;
  {
    const MutexLock lock(mu_);
    if (CostOf(*better) * kWorthReloading >= CostOf(*plan_)) return;
  }
  LogInfo("a better plan is possible", {{"seconds", CostOf(*better)}});
  EndServing(Unavailable("the model is being spread over more workers: ask again in a moment"));
}

void ClusterEngine::SavePlan(const Plan& plan, std::uint64_t epoch) {
  const Status saved =
      store_->SavePlan({epoch, name_, PlanJson(plan), std::chrono::system_clock::now()});
  // The plan serves all the same: what is kept is for people who look back.
  if (!saved.ok()) LogFailure("the plan was not kept", saved);
}

// A pipeline's streams have ended for good: what they reported on the way is not to be taken for
// the next one's loss.
void ClusterEngine::ForgetLosses() {
  const MutexLock lock(mu_);
  mail_.lost = false;
  mail_.lost_node.reset();
}

void ClusterEngine::SetLoading(bool loading) {
  const MutexLock lock(mu_);
  loading_ = loading;
}

void ClusterEngine::SetState(EngineState state, const Status& why) {
  const MutexLock lock(mu_);
  if (state_ == EngineState::kStopping) return;
  state_ = state;
  why_ = why;
  changed_.NotifyAll();
}

}  // namespace bramble::coordinator
