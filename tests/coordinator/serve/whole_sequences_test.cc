// Programs that take a sequence in one step, and programs that read a source.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <deque>
#include <numeric>

#include "coordinator/serve/check_request.h"
#include "coordinator/serve/step_channel.h"
#include "tests/coordinator/serve/serve_helpers.h"

namespace bramble::coordinator {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Keeps the steps that are sent.
class Kept : public StepChannel {
 public:
  void Send(v1::Step step) override { steps.push_back(std::move(step)); }
  std::deque<v1::Step> steps;
};

struct Vectors : public Heard {
  std::vector<SequenceOutput> sequence;
  void OnSequence(const SequenceOutput& output) override { sequence.push_back(output); }
};

class Driven {
 public:
  explicit Driven(const ServePlan& plan) { core.Attach(plan, channel); }

  std::shared_ptr<Vectors> Submit(GenerateRequest request, const ServePlan& plan) {
    auto heard = std::make_shared<Vectors>();
    CompleteRequest(request, plan);
    core.Submit(RequestId(++submitted_), std::move(request), heard, clock.Now());
    core.Pump();
    return heard;
  }

  v1::Step Next() {
    v1::Step step = std::move(channel->steps.front());
    channel->steps.pop_front();
    return step;
  }

  ManualClock clock;
  Metrics metrics{"tiny", 128, "test"};
  Core core{clock, metrics, [] {}};
  std::shared_ptr<Kept> channel = std::make_shared<Kept>();

 private:
  std::uint64_t submitted_ = 0;
};

ServePlan EncoderPlan() {
  ServePlan plan = TinyPlan(2);
  plan.share_prefixes = false;
  plan.draws = false;
  plan.whole_sequences = true;
  plan.results = {{v1::RESULT_KIND_HIDDEN, v1::ROW_KIND_OUTPUT, 1},
                  {v1::RESULT_KIND_EMBEDDING, v1::ROW_KIND_SEQUENCE, 2}};
  return plan;
}

std::string Bytes(const std::vector<float>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
}

// Of each sequence the sum of its ids and their number, of each output its position.
v1::StepResult ResultOf(const v1::Step& step) {
  std::vector<float> vectors;
  std::vector<float> hidden;
  for (const v1::Span& span : step.spans()) {
    vectors.push_back(std::accumulate(span.ids().begin(), span.ids().end(), 0.0F));
    vectors.push_back(static_cast<float>(span.ids_size()));
    for (const v1::Output& output : span.outputs()) {
      hidden.push_back(static_cast<float>(span.position() + output.row()));
    }
  }
  v1::StepResult result;
  result.set_epoch(step.epoch());
  result.set_number(step.number());
  result.add_values(Bytes(hidden));
  result.add_values(Bytes(vectors));
  return result;
}

GenerateRequest Prompt(std::size_t length) {
  GenerateRequest request;
  request.prompt_ids = PromptOf(length, length);
  return request;
}

TEST(WholeSequences, AreOneSpanEachAndShareStepsWhereTheyFit) {
  const ServePlan plan = EncoderPlan();  // 32 rows
  Driven driven(plan);
  std::vector<std::shared_ptr<Vectors>> heard;
  for (const std::size_t length : {20U, 8U, 30U, 1U, 32U}) {
    heard.push_back(driven.Submit(Prompt(length), plan));
  }
  std::size_t spans = 0;
  while (!driven.channel->steps.empty()) {
    const v1::Step step = driven.Next();
    int rows = 0;
    for (const v1::Span& span : step.spans()) {
      EXPECT_EQ(span.position(), 0U);
      EXPECT_TRUE(span.has_start());
      rows += span.ids_size();
      ++spans;
    }
    EXPECT_LE(rows, 32);
    driven.core.OnResult(ResultOf(step));
    driven.core.Pump();
  }
  EXPECT_EQ(spans, heard.size());
  const std::size_t lengths[] = {20, 8, 30, 1, 32};
  for (std::size_t i = 0; i < heard.size(); ++i) {
    ASSERT_TRUE(heard[i]->ended());
    EXPECT_EQ(heard[i]->end().prompt_tokens, lengths[i]);
    ASSERT_EQ(heard[i]->sequence.size(), 1U);
    EXPECT_EQ(heard[i]->sequence[0].kind, v1::RESULT_KIND_EMBEDDING);
    float sum_and_count[2];
    ASSERT_EQ(heard[i]->sequence[0].values.size(), sizeof sum_and_count);
    std::memcpy(sum_and_count, heard[i]->sequence[0].values.data(), sizeof sum_and_count);
    EXPECT_EQ(sum_and_count[1], static_cast<float>(lengths[i]));
  }
}

TEST(WholeSequences, ReportHiddenValuesOfPositions) {
  const ServePlan plan = EncoderPlan();
  Driven driven(plan);
  GenerateRequest request = Prompt(12);
  request.logits_at = {0, 5, 11};
  const auto heard = driven.Submit(request, plan);
  driven.core.OnResult(ResultOf(driven.Next()));
  ASSERT_EQ(heard->prompt.size(), 3U);
  EXPECT_EQ(heard->prompt[1].position, 5U);
  EXPECT_EQ(heard->prompt[1].logits, Bytes({5.0F}));
}

TEST(WholeSequences, EndWithAnErrorWhereTheAnswerIsNotWhatWasAskedFor) {
  const std::function<void(v1::StepResult&)> lies[] = {
      [](auto& result) { result.clear_values(); },
      [](auto& result) { result.add_values("more"); },
      [](auto& result) { result.mutable_values(1)->pop_back(); },
      [](auto& result) { result.add_outputs(); },
      [](auto& result) {
        result.set_values(1, Bytes({NAN, 1}));
      },
  };
  for (const auto& lie : lies) {
    const ServePlan plan = EncoderPlan();
    Driven driven(plan);
    const auto heard = driven.Submit(Prompt(3), plan);
    v1::StepResult result = ResultOf(driven.Next());
    lie(result);
    driven.core.OnResult(result);
    ASSERT_TRUE(heard->ended());
    EXPECT_EQ(heard->end().reason, FinishReason::kError);
    EXPECT_TRUE(heard->sequence.empty());
  }
}

TEST(WholeSequences, RefuseWhatAnEncoderCannotDo) {
  const ServePlan plan = EncoderPlan();
  GenerateRequest text = Prompt(3);
  text.max_tokens = 1;
  EXPECT_THAT(CheckRequest(text, plan).message(), HasSubstr("writes no text"));
  GenerateRequest scored = Prompt(3);
  scored.prompt_logprobs = true;
  EXPECT_FALSE(CheckRequest(scored, plan).ok());
  GenerateRequest wide = Prompt(20);
  for (std::uint32_t i = 0; i < 9; ++i) wide.logits_at.push_back(i);
  EXPECT_THAT(CheckRequest(wide, plan).message(), HasSubstr("at most 8 at once"));
  GenerateRequest typed = Prompt(3);
  typed.types = {0, 1};
  EXPECT_THAT(CheckRequest(typed, plan).message(), HasSubstr("2 token types for 3"));
}

ServePlan SourcePlan() {
  ServePlan plan = TinyPlan(1);
  plan.share_prefixes = false;
  plan.start_id = 7;
  return plan;
}

v1::StepResult Drawn(const v1::Step& step, std::uint32_t id) {
  v1::StepResult result;
  result.set_epoch(step.epoch());
  result.set_number(step.number());
  for (const v1::Span& span : step.spans()) {
    for (const v1::Output& output : span.outputs()) {
      v1::OutputResult& answer = *result.add_outputs();
      answer.set_sequence(span.sequence());
      answer.set_position(span.position() + output.row());
      answer.set_id(id);
    }
  }
  return result;
}

TEST(Source, IsThePromptAndGoesWithTheStart) {
  const ServePlan plan = SourcePlan();
  Driven driven(plan);
  const std::vector<std::uint32_t> prompt = PromptOf(1, 19);
  const auto heard = driven.Submit(Greedy(prompt, 3), plan);
  for (std::uint32_t position = 0; position < 3; ++position) {
    ASSERT_EQ(driven.channel->steps.size(), 1U);
    const v1::Step step = driven.Next();
    ASSERT_EQ(step.spans_size(), 1);
    const v1::Span& span = step.spans(0);
    EXPECT_THAT(span.ids(), ElementsAre(position == 0 ? 7U : 10U + position));
    EXPECT_EQ(span.source_ids_size(), position == 0 ? 19 : 0);
    // Pages of 4 positions reach over the source from the start.
    EXPECT_EQ(span.pages_size(), position == 0 ? 5 : 0);
    driven.core.OnResult(Drawn(step, 11 + position));
    driven.core.Pump();
  }
  EXPECT_THAT(heard->ids(), ElementsAre(11U, 12U, 13U));
  EXPECT_EQ(heard->end().prompt_tokens, 19U);
}

TEST(Source, WaitsForAStepWithRoom) {
  const ServePlan plan = SourcePlan();  // 32 rows
  Driven driven(plan);
  std::vector<std::shared_ptr<Vectors>> heard;
  for (int i = 0; i < 3; ++i) heard.push_back(driven.Submit(Greedy(PromptOf(i, 20), 1), plan));
  for (int steps = 0; !driven.channel->steps.empty(); ++steps) {
    ASSERT_LT(steps, 4);
    const v1::Step step = driven.Next();
    int sources = 0;
    for (const v1::Span& span : step.spans()) sources += span.source_ids_size();
    EXPECT_LE(sources, 32);
    driven.core.OnResult(Drawn(step, 3));
    driven.core.Pump();
  }
  for (const auto& one : heard) EXPECT_TRUE(one->ended());
}

TEST(Source, RefusesWhatCannotBeRead) {
  const ServePlan plan = SourcePlan();
  GenerateRequest request = Greedy(PromptOf(1, 33), 4);
  CompleteRequest(request, plan);
  EXPECT_THAT(CheckRequest(request, plan).message(), HasSubstr("33 ids, at most 32"));
  GenerateRequest own = Greedy({1}, 4);
  own.source_ids = {1, kTinyVocabulary};
  EXPECT_THAT(CheckRequest(own, plan).message(), HasSubstr("source id 1 is 50"));
  GenerateRequest none = Greedy({1}, 4);
  EXPECT_THAT(CheckRequest(none, plan).message(), HasSubstr("the source is empty"));
  GenerateRequest stray = Greedy({1}, 4);
  stray.source_ids = {1};
  EXPECT_THAT(CheckRequest(stray, TinyPlan(1)).message(), HasSubstr("reads none"));
}

}  // namespace
}  // namespace bramble::coordinator
