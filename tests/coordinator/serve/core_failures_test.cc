// What the scheduler does when steps fail, workers go and requests make no sense.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "coordinator/serve/check_request.h"
#include "tests/coordinator/serve/serve_helpers.h"

namespace bramble::coordinator {
namespace {

using ::testing::HasSubstr;

TEST(CoreFailures, EndTheRequestAtFaultAndLetItsNeighboursGoOn) {
  Bench bench(TinyPlan(1));
  const GenerateRequest good = Greedy(PromptOf(1, 7), 20);
  const auto a = bench.Submit(good);
  const auto b = bench.Submit(Greedy(PromptOf(2, 7), 20));
  while (b->tokens.size() < 3) bench.RunOne();
  ASSERT_EQ(bench.stages->queue().front().spans_size(), 2);
  bench.core.OnFailure(bench.stages->Fail(1, "layer.3/norm: the row is not finite"));
  bench.core.Pump();
  ASSERT_TRUE(b->ended());
  EXPECT_EQ(b->end().reason, FinishReason::kError);
  EXPECT_THAT(b->end().status.message(), HasSubstr("layer.3/norm: the row is not finite"));
  bench.RunAll();
  EXPECT_EQ(a->end().reason, FinishReason::kLength);
  EXPECT_EQ(a->ids(), Alone(good)->ids());
  EXPECT_EQ(bench.core.snapshot().pages_in_use, 0U);
}

TEST(CoreFailures, OfTheClusterEndAllRequestsOfTheStepAndNoOther) {
  Bench bench(TinyPlan(2));
  const GenerateRequest good = Greedy(PromptOf(1, 7), 20);
  const auto a = bench.Submit(Greedy(PromptOf(2, 7), 20));
  const auto b = bench.Submit(good);
  ASSERT_EQ(bench.stages->queue().size(), 2U);
  bench.core.OnFailure(bench.stages->Fail(std::nullopt, "worker 'pi-2': out of luck"));
  bench.core.Pump();
  ASSERT_TRUE(a->ended());
  EXPECT_THAT(a->end().status.message(), HasSubstr("worker 'pi-2': out of luck"));
  bench.RunAll();
  EXPECT_EQ(b->ids(), Alone(good)->ids());
}

TEST(CoreFailures, OfAFirstChunkDoNotEndThoseWhoShareALaterStep) {
  ServePlan plan = TinyPlan(3);
  plan.limits.set_pages(256);
  plan.context_length = 1024;
  plan.limits.set_max_rows(256);
  Bench bench(plan);
  const GenerateRequest good = Greedy(PromptOf(1, 7), 200);
  const auto chat = bench.Submit(good);
  while (chat->tokens.size() < 3) bench.RunOne();
  const auto prompt = bench.Submit(Greedy(PromptOf(2, 300), 5));
  // Two chunks of the prompt are in flight, and the chat's row. The first chunk fails.
  while (bench.stages->queue().front().spans(0).ids_size() == 1) bench.RunOne();
  const std::uint32_t slot = bench.stages->queue().front().spans(0).sequence();
  bench.core.OnFailure(bench.stages->Fail(slot, "not finite"));
  bench.core.Pump();
  EXPECT_TRUE(prompt->ended());
  bench.RunAll();
  EXPECT_EQ(chat->end().reason, FinishReason::kLength) << chat->end().status.message();
  EXPECT_EQ(chat->ids(), Alone(good)->ids());
}

TEST(CoreFailures, DoNotPublishPagesThatWereNotWritten) {
  Bench bench(TinyPlan(1));
  const GenerateRequest request = Greedy(PromptOf(1, 21), 5);
  const auto a = bench.Submit(request);
  bench.core.OnFailure(bench.stages->Fail(std::nullopt, "no"));
  bench.core.Pump();
  const auto b = bench.Submit(request);
  bench.RunAll();
  EXPECT_EQ(b->end().cached_prompt_tokens, 0U);
  EXPECT_EQ(b->ids(), Alone(request)->ids());
}

TEST(CoreFailures, AreNotRepeatedForEver) {
  Bench bench(TinyPlan(1));
  const auto victim = bench.Submit(Greedy(PromptOf(1, 3), 100));
  for (int i = 0; i < 4; ++i) {
    const auto bad = bench.Submit(Greedy(PromptOf(2, 3), 100));
    while (bench.stages->queue().front().spans_size() < 2) bench.RunOne();
    const v1::Step& step = bench.stages->queue().front();
    // The one that starts, or has fewer ids, is the bad one: the higher slot.
    const std::uint32_t guilty = std::max(step.spans(0).sequence(), step.spans(1).sequence());
    bench.core.OnFailure(bench.stages->Fail(guilty, "not finite"));
    bench.core.Pump();
    if (victim->ended()) break;
  }
  bench.RunAll();
  EXPECT_EQ(bench.core.snapshot().running, 0U);
  EXPECT_EQ(bench.core.snapshot().queued, 0U);
}

TEST(CoreFailures, OfTheLastStagesAnswerAreNamed) {
  Bench bench(TinyPlan(1));
  const auto heard = bench.Submit(Greedy(PromptOf(1, 3), 5));
  v1::StepResult result = std::get<v1::StepResult>(bench.stages->Run());
  result.mutable_outputs(0)->set_id(kTinyVocabulary);
  bench.core.OnResult(result);
  ASSERT_TRUE(heard->ended());
  EXPECT_EQ(heard->end().status.code(), Code::kInternal);
  EXPECT_THAT(heard->end().status.message(), HasSubstr("does not match"));
}

TEST(CoreFailures, OfAnOlderEpochOrAnUnknownStepAreIgnored) {
  Bench bench(TinyPlan(1));
  const GenerateRequest request = Greedy(PromptOf(1, 3), 5);
  const auto heard = bench.Submit(request);
  v1::StepFailure old;
  old.set_epoch(99);
  old.set_number(1);
  bench.core.OnFailure(old);
  old.set_epoch(1);
  old.set_number(12);
  bench.core.OnFailure(old);
  bench.RunAll();
  EXPECT_EQ(heard->ids(), Alone(request)->ids());
}

TEST(CoreFailures, OfAWorkerEndEveryRequestAtOnce) {
  ServePlan plan = TinyPlan(2);
  plan.limits.set_max_sequences(1);
  Bench bench(plan);
  const auto running = bench.Submit(Greedy(PromptOf(1, 3), 50));
  const auto waiting = bench.Submit(Greedy(PromptOf(2, 3), 50));
  bench.RunOne();
  bench.core.Detach(Unavailable("worker 'pi-3' was lost"));
  for (const auto& heard : {running, waiting}) {
    ASSERT_TRUE(heard->ended());
    EXPECT_EQ(heard->end().reason, FinishReason::kError);
    EXPECT_EQ(heard->end().status.code(), Code::kUnavailable);
    EXPECT_THAT(heard->end().status.message(), HasSubstr("'pi-3'"));
  }
  const auto later = bench.Submit(Greedy(PromptOf(3, 3), 5));
  EXPECT_EQ(later->end().status.code(), Code::kUnavailable);
  // A new plan serves afresh, from step 1 on.
  bench.stages = std::make_shared<TinyStages>(plan.limits, plan.vocabulary_size);
  plan.epoch = 2;
  bench.core.Attach(plan, bench.stages);
  const GenerateRequest request = Greedy(PromptOf(1, 3), 5);
  const auto fresh = bench.Submit(request);
  bench.RunAll();
  EXPECT_EQ(fresh->ids(), Alone(request)->ids());
}

TEST(CheckRequest, RefusesWhatCanNeverRunAndNamesTheLimit) {
  const ServePlan plan = TinyPlan(1);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  struct Row {
    const char* message;
    void (*spoil)(GenerateRequest&);
  };
  const Row rows[] = {
      {"the prompt is empty", [](GenerateRequest& r) { r.prompt_ids.clear(); }},
      {"together 129, but the context is 128", [](GenerateRequest& r) { r.max_tokens = 125; }},
      {"together 4294967299", [](GenerateRequest& r) { r.max_tokens = 0xffffffff; }},
      {"prompt id 2 is 50; the vocabulary has 50",
       [](GenerateRequest& r) { r.prompt_ids[2] = 50; }},
      {"top_logprobs is 21", [](GenerateRequest& r) { r.top_logprobs = 21; }},
      {"logits of position 4", [](GenerateRequest& r) { r.logits_at = {4}; }},
      {"must rise",
       [](GenerateRequest& r) {
         r.logits_at = {2, 2};
       }},
      {"temperature is -1", [](GenerateRequest& r) { r.sampling.set_temperature(-1); }},
      {"top_p is 1.5", [](GenerateRequest& r) { r.sampling.set_top_p(1.5F); }},
      {"min_p is -0.5", [](GenerateRequest& r) { r.sampling.set_min_p(-0.5F); }},
      {"repetition_penalty is 0", [](GenerateRequest& r) { r.sampling.set_repetition_penalty(0); }},
      {"logit bias names id 50", [](GenerateRequest& r) { r.sampling.add_bias()->set_id(50); }},
      {"id after the minimum 0 is 51",
       [](GenerateRequest& r) { r.sampling.add_ids_after_minimum(51); }},
  };
  for (const Row& row : rows) {
    GenerateRequest request = Greedy(PromptOf(1, 4), 4);
    ASSERT_TRUE(CheckRequest(request, plan).ok());
    row.spoil(request);
    const Status status = CheckRequest(request, plan);
    EXPECT_EQ(status.code(), Code::kInvalidArgument) << row.message;
    EXPECT_THAT(status.message(), HasSubstr(row.message));
  }
  GenerateRequest request = Greedy(PromptOf(1, 4), 4);
  request.sampling.set_presence_penalty(nan);
  EXPECT_EQ(CheckRequest(request, plan).code(), Code::kInvalidArgument);
}

// Everything at once, with little of everything: the results are those of being alone, and nothing
// is left over.
TEST(CoreSoak, RandomRequestsGetWhatEachGetsAlone) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    std::mt19937_64 random(seed);
    const auto below = [&](std::uint64_t n) { return static_cast<std::uint32_t>(random() % n); };
    ServePlan plan = TinyPlan(1 + below(4));
    plan.limits.set_pages(16 + below(30));
    plan.context_length = 64;
    plan.limits.set_max_sequences(1 + below(8));
    plan.limits.set_max_rows(1 + below(40));
    plan.limits.set_max_outputs(1 + below(8));
    Bench bench(plan);
    std::vector<GenerateRequest> requests;
    std::vector<std::shared_ptr<Heard>> heard;
    for (std::uint64_t i = 1; i <= 25; ++i) {
      // Few prompts that begin alike, so that pages are shared.
      std::vector<std::uint32_t> prompt = PromptOf(below(3), 1 + below(40));
      GenerateRequest request = Seeded(std::move(prompt), below(24), below(4));
      request.prompt_logprobs = below(4) == 0;
      request.logits_of_tokens = below(4) == 0;
      if (below(4) == 0) request.end_ids = {below(kTinyVocabulary)};
      requests.push_back(request);
      heard.push_back(bench.Submit(request));
      for (std::uint32_t steps = below(12); steps > 0 && !bench.stages->idle(); --steps) {
        if (below(40) == 0) {
          const v1::Step& oldest = bench.stages->queue().front();
          const std::uint32_t guilty = oldest.spans(0).sequence();
          bench.core.OnFailure(bench.stages->Fail(guilty, "chosen to fail"));
          bench.core.Pump();
        } else {
          bench.RunOne();
        }
      }
      if (below(6) == 0) bench.Cancel(1 + below(i));
    }
    bench.RunAll();
    std::size_t finished = 0;
    for (std::size_t i = 0; i < heard.size(); ++i) {
      ASSERT_TRUE(heard[i]->ended()) << "seed " << seed << ", request " << i;
      const FinishReason reason = heard[i]->end().reason;
      if (reason == FinishReason::kCancelled || reason == FinishReason::kError) continue;
      ++finished;
      const auto alone = Alone(requests[i]);
      ASSERT_EQ(heard[i]->ids(), alone->ids()) << "seed " << seed << ", request " << i;
      ASSERT_EQ(heard[i]->prompt.size(), alone->prompt.size()) << "seed " << seed;
      for (std::size_t p = 0; p < alone->prompt.size(); ++p) {
        ASSERT_EQ(heard[i]->prompt[p].next_logprob, alone->prompt[p].next_logprob);
      }
    }
    EXPECT_GT(finished, 10U) << "seed " << seed;
    EXPECT_EQ(bench.core.snapshot().pages_in_use, 0U) << "seed " << seed;
    EXPECT_EQ(bench.core.snapshot().running, 0U) << "seed " << seed;
    EXPECT_EQ(bench.ended, 25U) << "seed " << seed;
  }
}

}  // namespace
}  // namespace bramble::coordinator
