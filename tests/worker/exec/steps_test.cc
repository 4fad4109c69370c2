// Steps come from a peer and may say anything: each wrong field is named, and nothing has happened.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <set>

#include "tests/worker/exec/exec_helpers.h"

namespace bramble::worker {
namespace {

using bramble::testing::MakeSmallProgram;
using bramble::testing::SmallProgram;
using testing::AddSpan;
using testing::LogitsOf;
using testing::MakeExecutor;
using testing::SomeIds;

struct Lie {
  const char* what;
  std::function<void(v1::Step&)> tell;
  const char* message;  // its beginning
};

// Sequence 0 is open and knows 10 positions on two pages; sequence 1 is not open. The honest step
// goes on with the one and starts the other.
v1::Step HonestStep(const std::vector<std::uint32_t>& ids) {
  v1::Step step;
  AddSpan(step, 0, ids, 10, 14);
  AddSpan(step, 1, ids, 0, 4);
  return step;
}

v1::Span& First(v1::Step& step) { return *step.mutable_spans(0); }
v1::Span& Second(v1::Step& step) { return *step.mutable_spans(1); }
v1::Sampling& SamplingOf(v1::Step& step) {
  return *Second(step).mutable_start()->mutable_sampling();
}

std::vector<Lie> Lies() {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  return {
      {"a slot beyond the limits", [](auto& s) { First(s).set_sequence(4); },
       "span 0: sequence is 4, slots end at 4"},
      {"a huge slot", [](auto& s) { First(s).set_sequence(~0U); },
       "span 0: sequence is 4294967295"},
      {"no ids", [](auto& s) { First(s).clear_ids(); }, "span 0: has no ids"},
      {"too many rows",
       [](auto& s) {
         First(s).clear_outputs();
         for (int i = 0; i < 41; ++i) First(s).add_ids(1);
         for (int i = 0; i < 5; ++i) First(s).add_pages(30);
         Second(s).clear_outputs();
       },
       "span 1: ids bring the step to 49 rows, at most 48"},
      {"an id beyond the vocabulary", [](auto& s) { First(s).set_ids(2, 50); },
       "span 0: ids[2] is 50, the vocabulary ends at 50"},
      {"a position that is not known", [](auto& s) { First(s).set_position(11); },
       "span 0: position is 11, only positions below 10 are known"},
      {"a position beyond the context", [](auto& s) { First(s).set_position(61); },
       "span 0: ids end at position 65, the context at 64"},
      {"a position that wraps", [](auto& s) { First(s).set_position(~0U - 1); },
       "span 0: ids end at position 4294967298"},
      {"a span for a closed sequence", [](auto& s) { s.add_closed(0); },
       "span 0: sequence 0 has not been started"},
      {"a second start", [](auto& s) { First(s).mutable_start(); },
       "span 0: start: sequence 0 is open already"},
      {"no start", [](auto& s) { Second(s).clear_start(); },
       "span 1: sequence 1 has not been started"},
      {"two spans of one sequence", [](auto& s) { *s.add_spans() = Second(s); },
       "span 2: sequence 1 has a span already"},
      {"a start without what is known", [](auto& s) { Second(s).set_position(3); },
       "span 1: start.known_ids has 0 ids, position is 3"},
      {"known ids beyond the vocabulary",
       [](auto& s) {
         Second(s).set_position(1);
         Second(s).mutable_start()->add_known_ids(77);
       },
       "span 1: start.known_ids[0] is 77"},
      {"a prompt longer than the context",
       [](auto& s) { Second(s).mutable_start()->set_prompt_ids(65); },
       "span 1: start.prompt_ids is 65, the context ends at 64"},
      {"a page beyond the cache", [](auto& s) { Second(s).set_pages(0, 40); },
       "span 1: pages[0] is 40, pages end at 40"},
      {"no pages", [](auto& s) { Second(s).clear_pages(); },
       "span 1: pages: 0 of 8 positions do not reach position 3"},
      {"one page too few",
       [](auto& s) {
         for (int i = 0; i < 4; ++i) First(s).add_ids(1);
       },
       "span 0: pages: 2 of 8 positions do not reach position 17"},
      {"more pages than the context needs",
       [](auto& s) {
         for (int i = 0; i < 7; ++i) First(s).add_pages(1);
       },
       "span 0: pages bring the sequence to 9, the context needs 8"},
      {"an output of no row", [](auto& s) { First(s).mutable_outputs(3)->set_row(4); },
       "span 0: outputs[3].row is 4, the span has 4 rows"},
      {"outputs that fall", [](auto& s) { First(s).mutable_outputs(1)->set_row(0); },
       "span 0: outputs[1].row is 0: rows must rise"},
      {"too many alternatives", [](auto& s) { First(s).mutable_outputs(1)->set_top(21); },
       "span 0: outputs[1].top is 21, at most 20"},
      {"a target beyond the vocabulary",
       [](auto& s) { First(s).mutable_outputs(0)->set_target(50); },
       "span 0: outputs[0].target is 50"},
      {"a temperature below 0", [](auto& s) { SamplingOf(s).set_temperature(-1); },
       "span 1: start.sampling.temperature is -1"},
      {"a temperature that is no number", [=](auto& s) { SamplingOf(s).set_temperature(nan); },
       "span 1: start.sampling.temperature is nan"},
      {"an endless temperature", [=](auto& s) { SamplingOf(s).set_temperature(infinity); },
       "span 1: start.sampling.temperature is inf"},
      {"top_p above 1", [](auto& s) { SamplingOf(s).set_top_p(1.5F); },
       "span 1: start.sampling.top_p is 1.5, must be 0 to 1"},
      {"min_p below 0", [](auto& s) { SamplingOf(s).set_min_p(-0.5F); },
       "span 1: start.sampling.min_p is -0.5"},
      {"no repetition penalty", [](auto& s) { SamplingOf(s).set_repetition_penalty(0); },
       "span 1: start.sampling.repetition_penalty is 0"},
      {"a presence penalty that is no number",
       [=](auto& s) { SamplingOf(s).set_presence_penalty(nan); },
       "span 1: start.sampling.presence_penalty is nan"},
      {"an endless frequency penalty",
       [=](auto& s) { SamplingOf(s).set_frequency_penalty(-infinity); },
       "span 1: start.sampling.frequency_penalty is -inf"},
      {"a bias of no id", [](auto& s) { SamplingOf(s).add_bias()->set_id(50); },
       "span 1: start.sampling.bias[0] is id 50"},
      {"a bias that is no number", [=](auto& s) { SamplingOf(s).add_bias()->set_value(nan); },
       "span 1: start.sampling.bias[0] is id 0, value nan"},
      {"an id after the minimum that is not there",
       [](auto& s) { SamplingOf(s).add_ids_after_minimum(50); },
       "span 1: start.sampling.ids_after_minimum[0] is 50"},
      {"a closed slot beyond the limits", [](auto& s) { s.add_closed(9); },
       "closed[0] is 9, slots end at 4"},
  };
}

TEST(Steps, AreRefusedWithTheNameOfTheWrongFieldAndChangeNothing) {
  const SmallProgram made = MakeSmallProgram();
  const std::vector<std::uint32_t> ids = SomeIds(14, 50);
  const auto honest = MakeExecutor(made.program, made.bytes);
  LogitsOf({honest.get()}, {ids.begin(), ids.begin() + 10}, 10);
  StepOutput expected;
  const v1::Step step = HonestStep(ids);
  ASSERT_TRUE(honest->Run(step, {}, expected).ok());
  for (const Lie& lie : Lies()) {
    const auto executor = MakeExecutor(made.program, made.bytes);
    LogitsOf({executor.get()}, {ids.begin(), ids.begin() + 10}, 10);
    v1::Step wrong = HonestStep(ids);
    lie.tell(wrong);
    StepOutput out;
    const Status status = executor->Run(wrong, {}, out);
    ASSERT_FALSE(status.ok()) << lie.what;
    EXPECT_EQ(status.code(), Code::kInvalidArgument) << lie.what;
    EXPECT_EQ(status.message().rfind(lie.message, 0), 0U) << lie.what << ": " << status.message();
    if (wrong.closed_size() > 0 && wrong.closed(0) == 0)
      continue;  // closing counts whatever follows
    StepOutput after;
    const Status again = executor->Run(step, {}, after);
    ASSERT_TRUE(again.ok()) << lie.what << ": " << again.message();
    for (std::size_t i = 0; i < expected.outputs.size(); ++i) {
      EXPECT_EQ(after.outputs[i].logits(), expected.outputs[i].logits()) << lie.what;
    }
  }
}

TEST(Steps, MayHaveAsManyOutputsAsTheLimitsSay) {
  const SmallProgram made = MakeSmallProgram();
  v1::Limits limits = testing::SmallLimits();
  limits.set_max_outputs(3);
  const auto executor = MakeExecutor(made.program, made.bytes, 1, "", limits);
  v1::Step step;
  AddSpan(step, 0, SomeIds(4, 50), 0, 4);
  StepOutput out;
  EXPECT_EQ(executor->Run(step, {}, out).message(),
            "span 0: outputs bring the step to 4, at most 3");
  step.mutable_spans(0)->mutable_outputs()->RemoveLast();
  EXPECT_TRUE(executor->Run(step, {}, out).ok());
  EXPECT_EQ(out.outputs.size(), 3U);
}

TEST(Steps, MayBeginInASlotThatTheSameStepCloses) {
  const SmallProgram made = MakeSmallProgram();
  const auto executor = MakeExecutor(made.program, made.bytes);
  const std::vector<std::uint32_t> ids = SomeIds(6, 50);
  const std::vector<std::string> expected = LogitsOf({executor.get()}, ids, 6, 2);
  EXPECT_EQ(LogitsOf({executor.get()}, ids, 6, 2), expected);
}

// Logits by name: one row, then what the step asks of it.
class Sampled : public ::testing::Test {
 protected:
  Sampled() : made_(MakeSmallProgram()), executor_(MakeExecutor(made_.program, made_.bytes, 2)) {}

  // The result for the last of `ids` with these parameters. All ids but `outputs` at the end are
  // the prompt.
  v1::OutputResult Ask(const std::vector<std::uint32_t>& ids, const v1::Sampling& sampling,
                       std::uint32_t outputs, const v1::Output& wish) {
    v1::Step step;
    step.add_closed(0);
    AddSpan(step, 0, ids, 0, ids.size());
    v1::Span& span = *step.mutable_spans(0);
    span.mutable_start()->set_prompt_ids(static_cast<std::uint32_t>(ids.size()) - outputs);
    *span.mutable_start()->mutable_sampling() = sampling;
    span.clear_outputs();
    *span.add_outputs() = wish;
    span.mutable_outputs(0)->set_row(static_cast<std::uint32_t>(ids.size()) - 1);
    StepOutput out;
    const Status status = executor_->Run(step, {}, out);
    EXPECT_TRUE(status.ok()) << status.message();
    return out.outputs.empty() ? v1::OutputResult() : out.outputs[0];
  }

  static v1::Sampling Neutral(float temperature) {
    v1::Sampling sampling;
    sampling.set_temperature(temperature);
    sampling.set_top_p(1);
    sampling.set_repetition_penalty(1);
    return sampling;
  }

  static v1::Output Drawn() {
    v1::Output wish;
    wish.set_draw(true);
    return wish;
  }

  static std::vector<float> Floats(const std::string& bytes) {
    std::vector<float> numbers(bytes.size() / sizeof(float));
    std::memcpy(numbers.data(), bytes.data(), bytes.size());
    return numbers;
  }

  SmallProgram made_;
  std::unique_ptr<Executor> executor_;
  const std::vector<std::uint32_t> ids_ = SomeIds(9, 50);
};

TEST_F(Sampled, ReportsLogProbabilitiesOfTheRawLogits) {
  v1::Output wish = Drawn();
  wish.set_logits(true);
  wish.set_logprob(true);
  wish.set_top(5);
  wish.set_target(17);
  const v1::OutputResult result = Ask(ids_, Neutral(0), 0, wish);
  const std::vector<float> logits = Floats(result.logits());
  ASSERT_EQ(logits.size(), 50U);
  double total = 0;
  for (const float x : logits) total += std::exp(double{x});
  ASSERT_EQ(result.top_size(), 5);
  EXPECT_EQ(result.id(), result.top(0).id());
  EXPECT_NEAR(result.logprob(), double{logits[result.id()]} - std::log(total), 1e-9);
  EXPECT_NEAR(result.target_logprob(), double{logits[17]} - std::log(total), 1e-9);
  for (int i = 1; i < 5; ++i) {
    EXPECT_GE(logits[result.top(i - 1).id()], logits[result.top(i).id()]);
    EXPECT_NEAR(result.top(i).logprob(), double{logits[result.top(i).id()]} - std::log(total),
                1e-9);
  }
}

TEST_F(Sampled, AnswersOnlyWhatIsAsked) {
  v1::Output wish;
  wish.set_target(3);
  const v1::OutputResult result = Ask(ids_, Neutral(0), 0, wish);
  EXPECT_FALSE(result.has_id());
  EXPECT_TRUE(result.logits().empty());
  EXPECT_EQ(result.top_size(), 0);
  EXPECT_LT(result.target_logprob(), 0);
}

TEST_F(Sampled, ObeysBiasesAndIdsAfterTheMinimum) {
  const std::uint32_t first = Ask(ids_, Neutral(0), 0, Drawn()).id();
  v1::Sampling sampling = Neutral(0);
  v1::LogitBias& bias = *sampling.add_bias();
  bias.set_id((first + 1) % 50);
  bias.set_value(100);
  EXPECT_EQ(Ask(ids_, sampling, 0, Drawn()).id(), (first + 1) % 50);
  sampling = Neutral(0);
  sampling.set_minimum_outputs(2);
  sampling.add_ids_after_minimum(first);
  EXPECT_NE(Ask(ids_, sampling, 0, Drawn()).id(), first);
  EXPECT_NE(Ask(ids_, sampling, 1, Drawn()).id(), first);
  EXPECT_EQ(Ask(ids_, sampling, 2, Drawn()).id(), first);
}

// The id with the largest logit stands in the history: as prompt, or as output.
TEST_F(Sampled, CountsThePromptForRepetitionAndOutputsForPresence) {
  std::vector<std::uint32_t> ids = ids_;
  v1::Output wish = Drawn();
  wish.set_logits(true);
  const std::uint32_t best = Ask(ids, Neutral(0), 0, wish).id();
  // Repeats it three positions before the end and looks again.
  ids.insert(ids.end() - 3, best);
  const v1::OutputResult plain = Ask(ids, Neutral(0), 0, wish);
  const std::uint32_t now = plain.id();
  std::vector<std::uint32_t> seen = ids;
  v1::Sampling presence = Neutral(0);
  presence.set_presence_penalty(1000);
  EXPECT_EQ(Ask(ids, presence, 0, Drawn()).id(), now) << "nothing has been put out";
  const std::uint32_t other =
      Ask(ids, presence, static_cast<std::uint32_t>(ids.size()), Drawn()).id();
  EXPECT_EQ(std::count(ids.begin(), ids.end(), other), 0) << "every id of the history is penalized";
  v1::Sampling repetition = Neutral(0);
  repetition.set_repetition_penalty(1e6F);
  const std::vector<float> logits = Floats(plain.logits());
  std::uint32_t expected = 0;
  float most = -std::numeric_limits<float>::infinity();
  for (std::uint32_t id = 0; id < 50; ++id) {
    float x = logits[id];
    if (std::count(ids.begin(), ids.end(), id) > 0) x = x > 0 ? x / 1e6F : x * 1e6F;
    if (x > most) {
      most = x;
      expected = id;
    }
  }
  EXPECT_EQ(Ask(ids, repetition, 0, Drawn()).id(), expected);
}

TEST_F(Sampled, DrawsTheSameIdForTheSameSeedWhateverElseIsInTheStep) {
  v1::Sampling sampling = Neutral(1);
  std::set<std::uint32_t> drawn;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    sampling.set_seed(seed << 40U);
    const std::uint32_t alone = Ask(ids_, sampling, 0, Drawn()).id();
    drawn.insert(alone);
    v1::Step step;
    step.add_closed(0);
    step.add_closed(1);
    AddSpan(step, 1, SomeIds(7, 50, 3), 0, 7);
    AddSpan(step, 0, ids_, 0, ids_.size());
    *step.mutable_spans(1)->mutable_start()->mutable_sampling() = sampling;
    StepOutput out;
    ASSERT_TRUE(executor_->Run(step, {}, out).ok());
    EXPECT_EQ(out.outputs.back().id(), alone) << seed;
  }
  EXPECT_GT(drawn.size(), 3U) << "different seeds draw different ids";
}

}  // namespace
}  // namespace bramble::worker
