// The scheduler on its thread, over stages on theirs.
#include "coordinator/serve/scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "tests/coordinator/serve/serve_helpers.h"

namespace bramble::coordinator {
namespace {

using ::testing::HasSubstr;

// Executes steps on a thread of its own, as they come. Held() keeps them back.
class RunningStages : public StepChannel {
 public:
  RunningStages(const ServePlan& plan, Scheduler& scheduler)
      : scheduler_(scheduler),
        stages_(plan.limits, plan.vocabulary_size),
        thread_([this] { Loop(); }) {}
  ~RunningStages() override {
    {
      const MutexLock lock(mu_);
      stopping_ = true;
    }
    changed_.NotifyAll();
    thread_.join();
  }

  void Send(v1::Step step) override {
    const MutexLock lock(mu_);
    stages_.Send(std::move(step));
    changed_.NotifyAll();
  }
  void Hold(bool held) {
    const MutexLock lock(mu_);
    held_ = held;
    changed_.NotifyAll();
  }

 private:
  void Loop() {
    for (;;) {
      TinyStages::Answer answer;
      {
        const MutexLock lock(mu_);
        while (!stopping_ && (held_ || stages_.idle())) changed_.Wait(mu_);
        if (stopping_) return;
        answer = stages_.Run();
      }
      if (auto* result = std::get_if<v1::StepResult>(&answer)) {
        scheduler_.OnResult(std::move(*result));
      } else {
        scheduler_.OnFailure(std::get<v1::StepFailure>(std::move(answer)));
      }
    }
  }

  Scheduler& scheduler_;
  Mutex mu_;
  Condition changed_;
  TinyStages stages_ GUARDED_BY(mu_);
  bool stopping_ GUARDED_BY(mu_) = false;
  bool held_ GUARDED_BY(mu_) = false;
  std::thread thread_;
};

struct Waited : public Heard {
  std::promise<void> done;
  void OnEnd(const GenerationEnd& end) override {
    Heard::OnEnd(end);
    done.set_value();
  }
  void Wait() { done.get_future().wait(); }
};

class SchedulerTest : public ::testing::Test {
 protected:
  void Serve(const ServePlan& plan) {
    channel = std::make_shared<RunningStages>(plan, scheduler);
    scheduler.Attach(plan, channel);
  }
  std::shared_ptr<Waited> Submit(GenerateRequest request) {
    auto sink = std::make_shared<Waited>();
    const Result<RequestId> id = scheduler.Submit(std::move(request), sink);
    EXPECT_TRUE(id.ok()) << id.status().message();
    last = id.ok() ? *id : RequestId();
    return sink;
  }

  ManualClock clock;
  Metrics metrics{"tiny", 128, "test"};
  Scheduler scheduler{{.max_queued = 2}, clock, metrics};
  std::shared_ptr<RunningStages> channel;
  RequestId last;
};

TEST_F(SchedulerTest, AnswersManyClientsAtOnceAsEachAlone) {
  ServePlan plan = TinyPlan(3);
  plan.limits.set_max_sequences(4);
  Serve(plan);
  std::vector<std::thread> clients;
  for (std::uint64_t i = 0; i < 6; ++i) {
    clients.emplace_back([this, i] {
      for (std::uint64_t round = 0; round < 20; ++round) {
        const GenerateRequest request = Seeded(PromptOf(i + round, 5 + i), 12, round);
        auto sink = std::make_shared<Waited>();
        ASSERT_TRUE(scheduler.Submit(request, sink).ok());
        sink->Wait();
        EXPECT_EQ(sink->ids(), Alone(request)->ids());
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_TRUE(scheduler.WaitIdle(clock.Now() + std::chrono::hours(1)));
  EXPECT_THAT(metrics.Text(), HasSubstr("vllm:request_success_total{engine=\"0\",finished_reason="
                                        "\"length\",model_name=\"tiny\"} 120"));
}

TEST_F(SchedulerTest, RefusesWhenTheQueueIsFullAndTakesAgainWhenItIsNot) {
  ServePlan plan = TinyPlan(1);
  plan.limits.set_max_sequences(1);
  Serve(plan);
  channel->Hold(true);
  std::vector<std::shared_ptr<Waited>> sinks;
  for (std::uint64_t i = 0; i < 3; ++i) sinks.push_back(Submit(Greedy(PromptOf(i, 4), 4)));
  const Result<RequestId> refused =
      scheduler.Submit(Greedy(PromptOf(9, 4), 4), std::make_shared<Waited>());
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.status().code(), Code::kResourceExhausted);
  EXPECT_THAT(refused.status().message(), HasSubstr("3 requests run or wait, 3 is the limit"));
  scheduler.Cancel(last);
  sinks.back()->Wait();
  EXPECT_FALSE(scheduler.WaitIdle(clock.Now()));
  const auto sink = Submit(Greedy(PromptOf(9, 4), 4));
  channel->Hold(false);
  sink->Wait();
  EXPECT_EQ(sink->end().reason, FinishReason::kLength);
}

TEST_F(SchedulerTest, IsUnavailableWithoutAPlan) {
  auto sink = std::make_shared<Waited>();
  EXPECT_EQ(scheduler.Submit(Greedy(PromptOf(1, 4), 4), sink).status().code(), Code::kUnavailable);
  Serve(TinyPlan(1));
  EXPECT_EQ(scheduler.Submit(Greedy(PromptOf(1, 4), 400), sink).status().code(),
            Code::kInvalidArgument);
  scheduler.Refuse(Unavailable("draining"));
  EXPECT_THAT(scheduler.Submit(Greedy(PromptOf(1, 4), 4), sink).status().message(),
              HasSubstr("draining"));
  EXPECT_TRUE(sink->ends.empty());
}

TEST_F(SchedulerTest, EndsAllRequestsWhenAWorkerIsLost) {
  Serve(TinyPlan(2));
  channel->Hold(true);
  const auto a = Submit(Greedy(PromptOf(1, 4), 40));
  const auto b = Submit(Greedy(PromptOf(2, 4), 40));
  scheduler.OnLost(99, Unavailable("another plan's worker"));
  scheduler.OnLost(1, Unavailable("worker 'pi-2' was lost"));
  a->Wait();
  b->Wait();
  EXPECT_THAT(a->end().status.message(), HasSubstr("'pi-2'"));
  EXPECT_EQ(scheduler.Submit(Greedy(PromptOf(1, 4), 4), a).status().code(), Code::kUnavailable);
  scheduler.Detach(Unavailable("planning again"));
  // What the old stages still answer is not taken for the new ones' answers.
  ServePlan plan = TinyPlan(2);
  plan.epoch = 2;
  channel->Hold(false);
  const std::shared_ptr<RunningStages> old = channel;
  Serve(plan);
  const GenerateRequest request = Greedy(PromptOf(3, 4), 20);
  const auto c = Submit(request);
  c->Wait();
  EXPECT_EQ(c->ids(), Alone(request)->ids());
}

TEST_F(SchedulerTest, EndsARequestWhenTheClockReachesItsDeadline) {
  Serve(TinyPlan(1));
  channel->Hold(true);
  GenerateRequest request = Greedy(PromptOf(1, 4), 40);
  request.deadline = clock.Now() + std::chrono::seconds(5);
  const auto sink = Submit(request);
  clock.Advance(std::chrono::seconds(5));
  sink->Wait();
  EXPECT_EQ(sink->end().status.code(), Code::kDeadlineExceeded);
}

TEST_F(SchedulerTest, LetsASinkCancel) {
  struct Impatient : public Waited {
    Scheduler* scheduler = nullptr;
    std::promise<RequestId> id;
    std::shared_future<RequestId> known = id.get_future().share();
    void OnToken(const GeneratedToken& token) override {
      Waited::OnToken(token);
      if (tokens.size() == 3) scheduler->Cancel(known.get());
    }
  };
  Serve(TinyPlan(1));
  auto sink = std::make_shared<Impatient>();
  sink->scheduler = &scheduler;
  const Result<RequestId> id = scheduler.Submit(Greedy(PromptOf(1, 4), 100), sink);
  sink->id.set_value(*id);
  sink->Wait();
  EXPECT_EQ(sink->end().reason, FinishReason::kCancelled);
  EXPECT_LT(sink->tokens.size(), 100U);
}

TEST_F(SchedulerTest, EndsEverythingWhenItIsDestroyed) {
  auto sink = std::make_shared<Waited>();
  {
    Scheduler short_lived({}, clock, metrics);
    ServePlan plan = TinyPlan(1);
    short_lived.Attach(plan, std::make_shared<TinyStages>(plan.limits, plan.vocabulary_size));
    ASSERT_TRUE(short_lived.Submit(Greedy(PromptOf(1, 4), 4), sink).ok());
  }
  ASSERT_EQ(sink->ends.size(), 1U);
  EXPECT_EQ(sink->end().status.code(), Code::kUnavailable);
}

}  // namespace
}  // namespace bramble::coordinator
