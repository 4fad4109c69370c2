// The scheduler over real executors: a small transformer in one stage or several.
#include <gtest/gtest.h>

#include <deque>

#include "proto/program/shard.h"
#include "tests/coordinator/serve/serve_helpers.h"
#include "tests/proto/small_program.h"
#include "tests/worker/exec/exec_helpers.h"

namespace bramble::coordinator {
namespace {

using bramble::testing::MakeSmallProgram;
using bramble::testing::SmallModel;
using bramble::testing::SmallProgram;
using bramble::worker::Executor;

// Executors that hold consecutive parts of the program; a step runs through all of them when the
// test says so.
class ExecutorStages : public StepChannel {
 public:
  ExecutorStages(const SmallProgram& small, const ServePlan& plan) {
    const auto blocks = static_cast<std::uint32_t>(small.program.blocks_size());
    for (std::uint32_t stage = 0; stage < plan.stages; ++stage) {
      const std::uint32_t first = blocks * stage / plan.stages;
      const std::uint32_t end = blocks * (stage + 1) / plan.stages;
      executors_.push_back(
          worker::testing::MakeExecutor(program::ExtractShard(small.program, first, end - first),
                                        small.bytes, 1, "", plan.limits));
      parts_.push_back(executors_.back().get());
    }
  }

  void Send(v1::Step step) override { queue_.push_back(std::move(step)); }
  bool idle() const { return queue_.empty(); }

  v1::StepResult Run() {
    const v1::Step step = std::move(queue_.front());
    queue_.pop_front();
    std::vector<v1::OutputResult> outputs;
    const Status status = worker::testing::RunParts(parts_, step, outputs);
    EXPECT_TRUE(status.ok()) << status.message();
    v1::StepResult result;
    result.set_epoch(step.epoch());
    result.set_number(step.number());
    for (v1::OutputResult& output : outputs) *result.add_outputs() = std::move(output);
    return result;
  }

 private:
  std::vector<std::unique_ptr<Executor>> executors_;
  std::vector<Executor*> parts_;
  std::deque<v1::Step> queue_;
};

class SmallCluster {
 public:
  SmallCluster(const SmallProgram& small, const ServePlan& plan)
      : stages_(std::make_shared<ExecutorStages>(small, plan)) {
    core.Attach(plan, stages_);
  }

  std::shared_ptr<Heard> Submit(GenerateRequest request) {
    auto heard = std::make_shared<Heard>();
    core.Submit(RequestId(++submitted_), std::move(request), heard, clock_.Now());
    core.Pump();
    return heard;
  }
  void RunOne() {
    core.OnResult(stages_->Run());
    core.Pump();
  }
  void RunAll() {
    while (!stages_->idle()) RunOne();
  }

 private:
  ManualClock clock_;
  Metrics metrics_{"small", 64, "test"};
  std::shared_ptr<ExecutorStages> stages_;
  std::uint64_t submitted_ = 0;

 public:
  Core core{clock_, metrics_, [] {}};
};

SmallProgram Quantized() {
  SmallModel model;
  model.layers = 4;
  model.encoding = v1::ENCODING_Q8_0;
  model.input_form = v1::INPUT_FORM_A8_32;
  model.cache_encoding = v1::ENCODING_F16;
  return MakeSmallProgram(model);
}

ServePlan SmallPlan(std::uint32_t stages) {
  ServePlan plan = TinyPlan(stages);
  plan.context_length = 64;
  plan.limits.set_pages(40);
  return plan;
}

std::shared_ptr<Heard> AloneOn(const SmallProgram& small, const GenerateRequest& request) {
  ServePlan plan = SmallPlan(1);
  plan.limits.set_max_rows(64);
  plan.limits.set_max_outputs(64);
  SmallCluster cluster(small, plan);
  auto heard = cluster.Submit(request);
  cluster.RunAll();
  return heard;
}

void ExpectSameBits(const Heard& got, const Heard& alone) {
  ASSERT_TRUE(got.ended());
  EXPECT_EQ(got.end().reason, alone.end().reason) << got.end().status.message();
  EXPECT_EQ(got.ids(), alone.ids());
  for (std::size_t i = 0; i < std::min(got.tokens.size(), alone.tokens.size()); ++i) {
    EXPECT_EQ(got.tokens[i].logits, alone.tokens[i].logits) << "token " << i;
  }
  ASSERT_EQ(got.prompt.size(), alone.prompt.size());
  for (std::size_t i = 0; i < got.prompt.size(); ++i) {
    EXPECT_EQ(got.prompt[i].next_logprob, alone.prompt[i].next_logprob) << "position " << i;
  }
}

GenerateRequest WithLogits(GenerateRequest request) {
  request.logits_of_tokens = true;
  return request;
}

TEST(SchedulerOverExecutors, GivesTwoClientsTheBitsThatEachGetsAlone) {
  const SmallProgram small = Quantized();
  GenerateRequest penalized = WithLogits(Seeded(PromptOf(2, 7), 30, 99));
  penalized.sampling.set_temperature(0.9F);
  penalized.sampling.set_top_k(20);
  penalized.sampling.set_repetition_penalty(1.3F);
  penalized.sampling.set_frequency_penalty(0.2F);
  const GenerateRequest requests[] = {WithLogits(Greedy(PromptOf(1, 13), 30)), penalized,
                                      WithLogits(Seeded(PromptOf(3, 1), 20, 5))};
  for (const std::uint32_t stages : {1U, 2U, 3U, 5U}) {
    SmallCluster cluster(small, SmallPlan(stages));
    std::vector<std::shared_ptr<Heard>> heard;
    for (const GenerateRequest& request : requests) heard.push_back(cluster.Submit(request));
    cluster.RunAll();
    for (std::size_t i = 0; i < heard.size(); ++i) {
      ExpectSameBits(*heard[i], *AloneOn(small, requests[i]));
    }
  }
}

TEST(SchedulerOverExecutors, GivesAPromptInChunksTheBitsOfTheWhole) {
  const SmallProgram small = Quantized();
  GenerateRequest request = WithLogits(Greedy(PromptOf(4, 50), 6));
  request.prompt_logprobs = true;
  for (const std::uint32_t rows : {1U, 5U, 16U}) {
    ServePlan plan = SmallPlan(2);
    plan.limits.set_max_rows(rows);
    SmallCluster cluster(small, plan);
    const auto heard = cluster.Submit(request);
    cluster.RunAll();
    ExpectSameBits(*heard, *AloneOn(small, request));
  }
}

TEST(SchedulerOverExecutors, GivesTheSameBitsFromKeptPages) {
  const SmallProgram small = Quantized();
  const GenerateRequest request = WithLogits(Greedy(PromptOf(5, 30), 8));
  SmallCluster cluster(small, SmallPlan(3));
  const auto first = cluster.Submit(request);
  cluster.RunAll();
  GenerateRequest other = WithLogits(Seeded(PromptOf(5, 30), 8, 3));
  other.prompt_ids.resize(25);
  other.sampling.set_repetition_penalty(1.5F);  // ids in shared pages count too
  const auto second = cluster.Submit(request);
  const auto third = cluster.Submit(other);
  cluster.RunAll();
  EXPECT_EQ(second->end().cached_prompt_tokens, 28U);
  EXPECT_EQ(third->end().cached_prompt_tokens, 24U);
  ExpectSameBits(*first, *AloneOn(small, request));
  ExpectSameBits(*second, *AloneOn(small, request));
  ExpectSameBits(*third, *AloneOn(small, other));
}

TEST(SchedulerOverExecutors, GivesTheSameBitsToWhoHadToMakeRoom) {
  const SmallProgram small = Quantized();
  ServePlan plan = SmallPlan(2);
  plan.limits.set_pages(16);
  SmallCluster cluster(small, plan);
  std::vector<GenerateRequest> requests;
  std::vector<std::shared_ptr<Heard>> heard;
  for (std::uint64_t i = 0; i < 3; ++i) {
    requests.push_back(WithLogits(Seeded(PromptOf(i, 9), 40, i)));
    requests.back().sampling.set_presence_penalty(0.5F);
    heard.push_back(cluster.Submit(requests.back()));
  }
  cluster.RunAll();
  for (std::size_t i = 0; i < heard.size(); ++i) {
    ExpectSameBits(*heard[i], *AloneOn(small, requests[i]));
  }
}

TEST(SchedulerOverExecutors, LetsTheNextOneUseACancelledOnesPlace) {
  const SmallProgram small = Quantized();
  ServePlan plan = SmallPlan(2);
  plan.limits.set_max_sequences(1);
  SmallCluster cluster(small, plan);
  const auto gone = cluster.Submit(Greedy(PromptOf(1, 30), 30));
  const GenerateRequest request = WithLogits(Greedy(PromptOf(2, 11), 10));
  const auto next = cluster.Submit(request);
  for (int step = 0; step < 5; ++step) cluster.RunOne();
  cluster.core.Cancel(RequestId(1));
  cluster.core.Pump();
  cluster.RunAll();
  EXPECT_EQ(gone->end().reason, FinishReason::kCancelled);
  ExpectSameBits(*next, *AloneOn(small, request));
  EXPECT_EQ(cluster.core.snapshot().pages_in_use, 0U);
}

}  // namespace
}  // namespace bramble::coordinator
