// The scheduler's rules, step by step.
#include "coordinator/serve/core.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "tests/coordinator/serve/serve_helpers.h"

namespace bramble::coordinator {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

void ExpectSame(const Heard& got, const Heard& alone, const std::string& what) {
  ASSERT_TRUE(got.ended()) << what;
  EXPECT_EQ(got.end().reason, alone.end().reason) << what << got.end().status.message();
  EXPECT_EQ(got.ids(), alone.ids()) << what;
  ASSERT_EQ(got.tokens.size(), alone.tokens.size()) << what;
  for (std::size_t i = 0; i < got.tokens.size(); ++i) {
    EXPECT_EQ(got.tokens[i].logits, alone.tokens[i].logits) << what << ", token " << i;
    EXPECT_EQ(got.tokens[i].logprob, alone.tokens[i].logprob) << what << ", token " << i;
  }
  ASSERT_EQ(got.prompt.size(), alone.prompt.size()) << what;
  for (std::size_t i = 0; i < got.prompt.size(); ++i) {
    EXPECT_EQ(got.prompt[i].position, alone.prompt[i].position) << what;
    EXPECT_EQ(got.prompt[i].next_logprob, alone.prompt[i].next_logprob) << what;
    EXPECT_EQ(got.prompt[i].logits, alone.prompt[i].logits) << what;
  }
}

TEST(Core, GivesTwoRequestsAtOnceWhatEachGetsAlone) {
  for (const std::uint32_t stages : {1U, 3U}) {
    Bench bench(TinyPlan(stages));
    GenerateRequest a = Greedy(PromptOf(1, 11), 20);
    GenerateRequest b = Seeded(PromptOf(2, 5), 30, 42);
    a.logits_of_tokens = b.logits_of_tokens = true;
    a.logprobs = b.logprobs = true;
    const auto heard_a = bench.Submit(a);
    const auto heard_b = bench.Submit(b);
    bench.RunAll();
    ExpectSame(*heard_a, *Alone(a), "a");
    ExpectSame(*heard_b, *Alone(b), "b");
    EXPECT_EQ(heard_b->end().generated_tokens, 30U);
    EXPECT_EQ(bench.ended, 2U);
  }
}

TEST(Core, GivesTheSameForAPromptInChunksAndWhole) {
  GenerateRequest request = Greedy(PromptOf(3, 90), 10);
  request.prompt_logprobs = true;
  request.logits_at = {0, 7, 8, 89};
  for (const std::uint32_t rows : {1U, 3U, 7U, 32U, 128U}) {
    ServePlan plan = TinyPlan(2);
    plan.limits.set_max_rows(rows);
    Bench bench(plan);
    const auto heard = bench.Submit(request);
    bench.RunAll();
    ExpectSame(*heard, *Alone(request), std::to_string(rows) + " rows");
    EXPECT_EQ(heard->prompt.size(), 90U);  // 89 scores, and the logits of the last position
    EXPECT_EQ(heard->prompt[7].logits.size(), kTinyVocabulary * sizeof(float));
    EXPECT_TRUE(heard->prompt[6].logits.empty());
    EXPECT_FALSE(heard->prompt[89].next_logprob.has_value());
  }
}

TEST(Core, GivesTheSameForASeedAndOthersForAnother) {
  Bench bench(TinyPlan(2));
  const auto a = bench.Submit(Seeded(PromptOf(1, 6), 25, 7));
  const auto b = bench.Submit(Seeded(PromptOf(1, 6), 25, 7));
  const auto c = bench.Submit(Seeded(PromptOf(1, 6), 25, 8));
  const auto d = bench.Submit(Seeded(PromptOf(1, 6), 25, 7ULL | 1ULL << 60));
  bench.RunAll();
  EXPECT_EQ(a->ids(), b->ids());
  EXPECT_NE(a->ids(), c->ids());
  EXPECT_NE(a->ids(), d->ids()) << "seeds have 64 bits";
}

TEST(Core, EndsAtAnEndIdAndReportsIt) {
  GenerateRequest request = Greedy(PromptOf(4, 4), 40);
  const std::vector<std::uint32_t> all = Alone(request)->ids();
  request.end_ids = {all[5]};
  const auto first = std::find(all.begin(), all.end(), all[5]) - all.begin();
  Bench bench(TinyPlan(1));
  const auto heard = bench.Submit(request);
  bench.RunAll();
  EXPECT_EQ(heard->end().reason, FinishReason::kEnd);
  EXPECT_EQ(heard->end().generated_tokens, first + 1);
  EXPECT_EQ(heard->ids(), std::vector<std::uint32_t>(all.begin(), all.begin() + first + 1));
}

TEST(Core, OnlyScoresWhenNothingIsToBeDrawn) {
  GenerateRequest request;
  request.prompt_ids = PromptOf(5, 70);
  request.prompt_logprobs = true;
  request.top_logprobs = 3;
  Bench bench(TinyPlan(3));
  const auto heard = bench.Submit(request);
  bench.RunAll();
  EXPECT_EQ(heard->end().reason, FinishReason::kLength);
  EXPECT_EQ(heard->tokens.size(), 0U);
  ASSERT_EQ(heard->prompt.size(), 69U);
  EXPECT_EQ(heard->prompt[0].top.size(), 3U);
}

TEST(Core, KeepsAGroupOnEveryStage) {
  for (const std::uint32_t requests : {1U, 2U, 3U, 4U, 6U, 8U}) {
    Bench bench(TinyPlan(3));
    std::vector<std::shared_ptr<Heard>> heard;
    for (std::uint32_t i = 0; i < requests; ++i) {
      heard.push_back(bench.Submit(Greedy(PromptOf(i, 3), 60)));
    }
    while (heard.back()->tokens.size() < 10) bench.RunOne();
    // Drawing all: as many steps in flight as stages, or as requests if these are fewer, of equal
    // size.
    for (int step = 0; step < 12; ++step) {
      EXPECT_EQ(bench.stages->queue().size(), std::min(requests, 3U)) << requests << " requests";
      for (const v1::Step& in_flight : bench.stages->queue()) {
        EXPECT_GE(in_flight.spans_size(), static_cast<int>(requests / 3));
        EXPECT_LE(in_flight.spans_size(), static_cast<int>((requests + 2) / 3));
      }
      bench.RunOne();
    }
  }
}

TEST(Core, PutsAllThatDrawIntoOneStepOfASingleStage) {
  Bench bench(TinyPlan(1));
  std::vector<std::shared_ptr<Heard>> heard;
  for (std::uint32_t i = 0; i < 5; ++i) heard.push_back(bench.Submit(Greedy(PromptOf(i, 3), 60)));
  while (heard.back()->tokens.size() < 10) bench.RunOne();
  ASSERT_EQ(bench.stages->queue().size(), 1U);
  EXPECT_EQ(bench.stages->queue()[0].spans_size(), 5);
}

TEST(Core, HasChunksOfOnePromptOnAllStages) {
  ServePlan plan = TinyPlan(3);
  plan.limits.set_pages(256);
  plan.context_length = 1024;
  plan.limits.set_max_rows(256);
  Bench bench(plan);
  const auto heard = bench.Submit(Greedy(PromptOf(1, 300), 1));
  ASSERT_EQ(bench.stages->queue().size(), 3U);
  for (const v1::Step& step : bench.stages->queue()) EXPECT_EQ(step.spans(0).ids_size(), 100);
  bench.RunAll();
  EXPECT_EQ(heard->ids().size(), 1U);
}

TEST(Core, LetsOthersDrawWhileALongPromptIsTaken) {
  for (const std::uint32_t stages : {1U, 3U}) {
    ServePlan plan = TinyPlan(stages);
    plan.limits.set_pages(1024);
    plan.context_length = 4096;
    plan.limits.set_max_rows(256);
    Bench bench(plan);
    const auto chat = bench.Submit(Greedy(PromptOf(1, 4), 400));
    while (chat->tokens.size() < 3) bench.RunOne();
    const auto prompt = bench.Submit(Greedy(PromptOf(2, 3000), 1));
    std::size_t steps_without = 0;
    while (!prompt->ended()) {
      const std::size_t before = chat->tokens.size();
      bench.RunOne();
      steps_without = chat->tokens.size() > before ? 0 : steps_without + 1;
      // Never more than what was in flight when it came back.
      ASSERT_LE(steps_without, stages + 1) << stages << " stages";
      for (const v1::Step& step : bench.stages->queue()) {
        int rows = 0;
        for (const v1::Span& span : step.spans()) rows += span.ids_size();
        ASSERT_LE(rows, 65) << "a long step would make the other wait";
      }
    }
    EXPECT_GT(chat->tokens.size(), 3000U / 64 / (stages + 1));
  }
}

TEST(Core, LetsPromptsTakeTurns) {
  ServePlan plan = TinyPlan(1);
  plan.limits.set_pages(1024);
  plan.context_length = 4096;
  plan.limits.set_max_rows(64);
  Bench bench(plan);
  const auto long_one = bench.Submit(Greedy(PromptOf(1, 3000), 1));
  const auto short_one = bench.Submit(Greedy(PromptOf(2, 60), 1));
  for (int step = 0; step < 8; ++step) bench.RunOne();
  EXPECT_TRUE(short_one->ended());
  EXPECT_FALSE(long_one->ended());
}

TEST(Core, FreesSlotAndPagesOfACancelledRequestAtOnce) {
  ServePlan plan = TinyPlan(2);
  plan.limits.set_max_sequences(1);
  Bench bench(plan);
  const auto first = bench.Submit(Greedy(PromptOf(1, 20), 60));
  const GenerateRequest next = Greedy(PromptOf(2, 9), 5);
  const auto second = bench.Submit(next);
  for (int step = 0; step < 4; ++step) bench.RunOne();
  EXPECT_EQ(bench.core.snapshot().queued, 1U);
  bench.Cancel(1);
  EXPECT_EQ(first->end().reason, FinishReason::kCancelled);
  EXPECT_EQ(bench.core.snapshot().queued, 0U) << "the second has the place now";
  EXPECT_EQ(bench.core.snapshot().pages_in_use, 3U) << "only the second's";
  const v1::Step& step = bench.stages->queue().back();
  EXPECT_THAT(step.closed(), ElementsAre(0));
  EXPECT_EQ(step.spans(0).sequence(), 0U) << "the same slot, closed and opened in one step";
  const std::size_t heard = first->tokens.size();
  bench.RunAll();
  EXPECT_EQ(first->tokens.size(), heard) << "nothing is heard after the end";
  ExpectSame(*second, *Alone(next), "second");
  EXPECT_EQ(bench.core.snapshot().pages_in_use, 0U);
}

TEST(Core, CancelsWhatStillWaits) {
  ServePlan plan = TinyPlan(1);
  plan.limits.set_max_sequences(1);
  Bench bench(plan);
  const auto first = bench.Submit(Greedy(PromptOf(1, 4), 9));
  const auto second = bench.Submit(Greedy(PromptOf(2, 4), 9));
  bench.Cancel(2);
  EXPECT_EQ(second->end().reason, FinishReason::kCancelled);
  bench.Cancel(2);
  bench.Cancel(77);
  bench.RunAll();
  EXPECT_TRUE(first->ended());
  EXPECT_EQ(second->ends.size(), 1U);
}

TEST(Core, GivesTheSameFromKeptPages) {
  Bench bench(TinyPlan(2));
  GenerateRequest request = Greedy(PromptOf(1, 30), 10);
  request.logits_of_tokens = true;
  const auto first = bench.Submit(request);
  bench.RunAll();
  const auto second = bench.Submit(request);
  bench.RunAll();
  ExpectSame(*second, *first, "cached");
  ExpectSame(*second, *Alone(request), "alone");
  EXPECT_EQ(first->end().cached_prompt_tokens, 0U);
  EXPECT_EQ(second->end().cached_prompt_tokens, 28U) << "7 pages of 4; the last row is computed";
  // A chat's next turn begins with the last one's prompt and answer.
  GenerateRequest turn = request;
  for (const std::uint32_t id : first->ids()) turn.prompt_ids.push_back(id);
  turn.prompt_ids.push_back(3);
  const auto third = bench.Submit(turn);
  bench.RunAll();
  ExpectSame(*third, *Alone(turn), "next turn");
  EXPECT_EQ(third->end().cached_prompt_tokens, 36U) << "the 39 ids that were computed";
}

TEST(Core, SharesPagesOfARequestThatStillRuns) {
  Bench bench(TinyPlan(1));
  const GenerateRequest request = Greedy(PromptOf(1, 21), 30);
  const auto first = bench.Submit(request);
  bench.RunOne();
  const std::uint32_t before = bench.core.snapshot().pages_in_use;
  const auto second = bench.Submit(request);
  EXPECT_EQ(bench.core.snapshot().pages_in_use, before + 1) << "the sixth page, not the first five";
  bench.RunAll();
  EXPECT_EQ(second->end().cached_prompt_tokens, 20U);
  EXPECT_EQ(first->ids(), second->ids());
}

TEST(Core, DoesNotShareWhatHasNotBeenComputed) {
  Bench bench(TinyPlan(1));
  const GenerateRequest request = Greedy(PromptOf(1, 21), 5);
  const auto first = bench.Submit(request);
  const auto second = bench.Submit(request);  // the first one's step is still in flight
  bench.RunAll();
  EXPECT_EQ(second->end().cached_prompt_tokens, 0U);
  EXPECT_EQ(first->ids(), second->ids());
}

TEST(Core, ComputesWhatIsReportedThoughItIsKnown) {
  Bench bench(TinyPlan(1));
  bench.Submit(Greedy(PromptOf(1, 30), 1));
  bench.RunAll();
  GenerateRequest scored = Greedy(PromptOf(1, 30), 1);
  scored.prompt_logprobs = true;
  GenerateRequest looked = Greedy(PromptOf(1, 30), 1);
  looked.logits_at = {17};
  const auto a = bench.Submit(scored);
  const auto b = bench.Submit(looked);
  bench.RunAll();
  EXPECT_EQ(a->end().cached_prompt_tokens, 0U);
  EXPECT_EQ(b->end().cached_prompt_tokens, 16U);
  ExpectSame(*a, *Alone(scored), "scored");
  ExpectSame(*b, *Alone(looked), "looked at");
}

TEST(Core, SharesNothingWhereMemoryIsNotInPages) {
  ServePlan plan = TinyPlan(1);
  plan.share_prefixes = false;
  Bench bench(plan);
  for (int i = 0; i < 2; ++i) {
    const auto heard = bench.Submit(Greedy(PromptOf(1, 30), 1));
    bench.RunAll();
    EXPECT_EQ(heard->end().cached_prompt_tokens, 0U);
  }
}

TEST(Core, GivesTheSameToARequestThatHadToMakeRoom) {
  ServePlan plan = TinyPlan(2);
  plan.limits.set_pages(16);  // 64 positions; the three want 3 * (9 + 40)
  plan.context_length = 64;
  Bench bench(plan);
  std::vector<GenerateRequest> requests;
  std::vector<std::shared_ptr<Heard>> heard;
  for (std::uint32_t i = 0; i < 3; ++i) {
    requests.push_back(Seeded(PromptOf(i, 9), 40, i));
    requests.back().logits_of_tokens = true;
    heard.push_back(bench.Submit(requests.back()));
  }
  bench.RunAll();
  for (std::uint32_t i = 0; i < 3; ++i) {
    ExpectSame(*heard[i], *Alone(requests[i]), std::to_string(i));
  }
  EXPECT_THAT(bench.metrics.Text(),
              ::testing::Not(HasSubstr("vllm:num_preemptions_total"
                                       "{engine=\"0\",model_name=\"tiny\"} 0")));
  EXPECT_EQ(bench.core.snapshot().pages_in_use, 0U);
}

TEST(Core, ReportsAPromptOnceThoughItIsComputedTwice) {
  ServePlan plan = TinyPlan(1);
  plan.limits.set_pages(16);
  plan.context_length = 64;
  plan.share_prefixes = false;
  Bench bench(plan);
  GenerateRequest request = Greedy(PromptOf(1, 9), 40);
  request.prompt_logprobs = true;
  const auto first = bench.Submit(request);
  const auto second = bench.Submit(request);
  bench.RunAll();
  ExpectSame(*first, *Alone(request), "first");
  ExpectSame(*second, *Alone(request), "second");
}

TEST(Core, EndsARequestAtItsDeadline) {
  Bench bench(TinyPlan(1));
  GenerateRequest request = Greedy(PromptOf(1, 5), 60);
  request.deadline = bench.clock.Now() + std::chrono::seconds(2);
  const auto heard = bench.Submit(request);
  EXPECT_EQ(bench.core.NextDeadline(), request.deadline);
  bench.RunOne();
  bench.clock.Advance(std::chrono::milliseconds(1999));
  bench.core.EndOverdue();
  EXPECT_FALSE(heard->ended());
  bench.clock.Advance(std::chrono::milliseconds(1));
  bench.core.EndOverdue();
  ASSERT_TRUE(heard->ended());
  EXPECT_EQ(heard->end().status.code(), Code::kDeadlineExceeded);
  EXPECT_NEAR(heard->end().seconds_total, 2, 1e-9);
  bench.RunAll();
  EXPECT_EQ(bench.core.snapshot().pages_in_use, 0U);
}

TEST(Core, TellsTheTimesOfARequest) {
  Bench bench(TinyPlan(1));
  auto heard = std::make_shared<Heard>();
  bench.core.Submit(RequestId(1), Greedy(PromptOf(1, 4), 2), heard, bench.clock.Now());
  bench.clock.Advance(std::chrono::milliseconds(100));
  bench.core.Pump();
  bench.clock.Advance(std::chrono::milliseconds(200));
  bench.RunOne();
  bench.clock.Advance(std::chrono::milliseconds(300));
  bench.RunOne();
  EXPECT_NEAR(heard->end().seconds_queued, 0.1, 1e-9);
  EXPECT_NEAR(heard->end().seconds_to_first_token, 0.3, 1e-9);
  EXPECT_NEAR(heard->end().seconds_total, 0.6, 1e-9);
  EXPECT_EQ(heard->end().prompt_tokens, 4U);
}

}  // namespace
}  // namespace bramble::coordinator
