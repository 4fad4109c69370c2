#include "worker/exec/executor.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <span>

#include "kernels/cpu.h"
#include "kernels/matmul.h"
#include "proto/program/held.h"
#include "proto/program/memory.h"
#include "proto/program/shard.h"
#include "tests/worker/exec/exec_helpers.h"
#include "tests/worker/exec/reference.h"

namespace bramble::worker {
namespace {

using bramble::testing::MakeSmallProgram;
using bramble::testing::SmallModel;
using bramble::testing::SmallProgram;
using testing::AddSpan;
using testing::LogitsOf;
using testing::MakeExecutor;
using testing::RunParts;
using testing::SmallLimits;
using testing::SomeIds;

struct Case {
  const char* name;
  SmallModel model;
  double tolerance;  // of a logit, in standard deviations of its row
};

// Mixtures of experts with every kind of router.
std::vector<Case> ExpertCases() {
  std::vector<Case> cases(7);
  for (Case& c : cases) c = {"", {}, 2e-5};
  for (Case& c : cases) c.model.moe = bramble::testing::SmallExperts();
  cases[0].name = "experts by softmax";
  cases[1].name = "experts by their softmax, clamped, with biases, of 40 numbers";
  cases[1].model.inner = 40;
  cases[1].model.biases = true;
  cases[1].model.moe.set_score(v1::Moe::SCORE_TOP_THEN_SOFTMAX);
  cases[1].model.moe.set_function(v1::FUNCTION_GELU_QUICK);
  cases[1].model.moe.set_limit(0.8F);
  cases[1].model.moe.set_offset(1);
  cases[1].model.moe.set_sum_groups(1);
  cases[2].name = "experts by sigmoid, in groups, with a bias";
  cases[2].model.selection_bias = true;
  cases[2].model.expert_scale = true;
  cases[2].model.moe.set_experts(12);
  cases[2].model.moe.set_experts_per_row(5);
  cases[2].model.moe.set_score(v1::Moe::SCORE_SIGMOID);
  cases[2].model.moe.set_groups(4);
  cases[2].model.moe.set_groups_per_row(2);
  cases[2].model.moe.set_group_score(v1::Moe::GROUP_SCORE_TOP_TWO);
  cases[2].model.moe.set_renormalize(true);
  cases[2].model.moe.set_scale(2.5F);
  cases[2].model.moe.set_sum_groups(8);
  cases[3].name = "experts by softmax, in groups, without gates";
  cases[3].model.expert_gates = false;
  cases[3].model.moe.set_groups(3);
  cases[3].model.moe.set_groups_per_row(1);
  cases[3].model.moe.set_group_score(v1::Moe::GROUP_SCORE_MAX);
  cases[3].model.moe.set_function(v1::FUNCTION_RELU_SQUARED);
  cases[4].name = "experts by threshold";
  cases[4].model.moe.set_score(v1::Moe::SCORE_THRESHOLD);
  cases[4].model.moe.set_threshold(0.5F);
  cases[4].model.moe.set_sum_groups(3);
  // A rounded input may change who is chosen, so everybody is.
  for (Case* c : {&cases[5], &cases[6]}) {
    c->model.moe.set_experts_per_row(6);
    c->model.input_form = v1::INPUT_FORM_A8_32;
    c->tolerance = 5e-2;
  }
  cases[5].name = "experts in q4_0 and integers";
  cases[5].model.encoding = v1::ENCODING_Q4_0;
  cases[6].name = "experts in q8_0 and integers, without gates";
  cases[6].model.encoding = v1::ENCODING_Q8_0;
  cases[6].model.expert_gates = false;
  cases[6].model.moe.set_function(v1::FUNCTION_RELU_SQUARED);
  return cases;
}

std::vector<Case> Cases() {
  std::vector<Case> cases(10);
  cases[0] = {"f32", {}, 2e-5};
  cases[1] = {"f32 with biases, layer norms, learned positions", {}, 2e-5};
  cases[1].model.biases = true;
  cases[1].model.learned_positions = true;
  cases[1].model.norm = v1::Norm::KIND_LAYER;
  cases[2] = {"window, caps, pairs", {}, 2e-5};
  cases[2].model.window = 5;
  cases[2].model.soft_cap = 3;
  cases[2].model.rope = v1::Rope::STYLE_PAIR;
  cases[3] = {"slopes and sinks", {}, 2e-5};
  cases[3].model.slopes_and_sinks = true;
  cases[4] = {"half caches", {}, 2e-3};
  cases[4].model.cache_encoding = v1::ENCODING_F16;
  cases[5] = {"q4_0 decoded", {}, 2e-5};
  cases[5].model.encoding = v1::ENCODING_Q4_0;
  cases[6] = {"q4_0 in integers", {}, 5e-2};
  cases[6].model.encoding = v1::ENCODING_Q4_0;
  cases[6].model.input_form = v1::INPUT_FORM_A8_32;
  cases[6].model.cache_encoding = v1::ENCODING_F16;
  cases[7] = {"q8_0 in integers, heads that are not whole groups", {}, 5e-2};
  cases[7].model.encoding = v1::ENCODING_Q8_0;
  cases[7].model.input_form = v1::INPUT_FORM_A8_32;
  cases[7].model.heads = 8;
  cases[7].model.kv_heads = 8;
  cases[7].model.head_dim = 8;
  cases[8] = {"other frequencies in long sequences", {}, 2e-5};
  cases[8].model.long_from = 30;
  cases[9] = {"other frequencies for each length", {}, 2e-5};
  cases[9].model.long_from = 30;
  cases[9].model.long_rows = 5;
  for (const Case& c : ExpertCases()) cases.push_back(c);
  return cases;
}

// `tolerance`: in standard deviations of a row.
void ExpectNear(const std::vector<std::string>& logits, const testing::Matrix& expected,
                double tolerance) {
  ASSERT_EQ(logits.size(), expected.size());
  for (std::size_t r = 0; r < logits.size(); ++r) {
    const std::size_t vocabulary = expected[r].size();
    ASSERT_EQ(logits[r].size(), vocabulary * sizeof(float));
    double squares = 0;
    for (const double x : expected[r]) squares += x * x;
    const double deviation = std::sqrt(squares / static_cast<double>(vocabulary));
    for (std::size_t i = 0; i < vocabulary; ++i) {
      float logit = 0;
      std::memcpy(&logit, logits[r].data() + i * sizeof(float), sizeof(logit));
      ASSERT_NEAR(logit, expected[r][i], tolerance * deviation) << "position " << r << ", id " << i;
    }
  }
}

TEST(Executor, ComputesWhatTheProgramSays) {
  for (const Case& c : Cases()) {
    SCOPED_TRACE(c.name);
    const SmallProgram made = MakeSmallProgram(c.model);
    const std::vector<std::uint32_t> ids = SomeIds(33, c.model.vocabulary);
    const auto executor = MakeExecutor(made.program, made.bytes);
    ASSERT_NE(executor, nullptr);
    ExpectNear(LogitsOf({executor.get()}, ids, 33),
               testing::Reference(made.program, made.bytes).Logits(ids), c.tolerance);
  }
}

// A row's frequencies follow the prompt's length, or its own position in a longer answer.
TEST(Executor, TurnsShortAndLongSequencesByTheirOwnFrequencies) {
  SmallModel model;
  const SmallProgram plain = MakeSmallProgram(model);
  model.long_from = 20;
  model.long_rows = 3;  // the last is for all lengths beyond
  const SmallProgram made = MakeSmallProgram(model);
  const auto executor = MakeExecutor(made.program, made.bytes);
  const auto other = MakeExecutor(plain.program, plain.bytes);
  const std::vector<std::uint32_t> ids = SomeIds(24, model.vocabulary);
  const std::vector<std::uint32_t> prompt(ids.begin(), ids.begin() + 20);
  EXPECT_EQ(LogitsOf({executor.get()}, prompt, 20), LogitsOf({other.get()}, prompt, 20));
  // The answer passes the limit.
  std::vector<std::string> logits = LogitsOf({executor.get()}, prompt, 20);
  for (std::size_t i = 20; i < ids.size(); ++i) {
    v1::Step step;
    AddSpan(step, 0, ids, i, i + 1);
    std::vector<v1::OutputResult> results;
    ASSERT_TRUE(RunParts({executor.get()}, step, results).ok());
    logits.push_back(results[0].logits());
  }
  ExpectNear(logits, testing::Reference(made.program, made.bytes).Logits(ids, 20), 2e-5);
}

TEST(Executor, GivesTheSameBitsWithAnyNumberOfThreads) {
  for (const Case& c : Cases()) {
    const SmallProgram made = MakeSmallProgram(c.model);
    const std::vector<std::uint32_t> ids = SomeIds(40, c.model.vocabulary);
    const auto one = MakeExecutor(made.program, made.bytes, 1);
    const std::vector<std::string> expected = LogitsOf({one.get()}, ids, 40);
    for (const int threads : {2, 3, 4}) {
      const auto more = MakeExecutor(made.program, made.bytes, threads);
      EXPECT_EQ(LogitsOf({more.get()}, ids, 40), expected) << c.name << ", " << threads;
    }
  }
}

TEST(Executor, GivesTheSameBitsHoweverThePromptIsCut) {
  for (const Case& c : Cases()) {
    const SmallProgram made = MakeSmallProgram(c.model);
    const std::vector<std::uint32_t> ids = SomeIds(37, c.model.vocabulary);
    const auto executor = MakeExecutor(made.program, made.bytes, 2);
    const std::vector<std::string> expected = LogitsOf({executor.get()}, ids, 37);
    for (const std::size_t chunk : {1, 2, 7, 8, 20}) {
      EXPECT_EQ(LogitsOf({executor.get()}, ids, chunk), expected) << c.name << ", " << chunk;
    }
  }
}

TEST(Executor, GivesTheSameBitsAloneAndInABatch) {
  for (const Case& c : Cases()) {
    const SmallProgram made = MakeSmallProgram(c.model);
    const auto executor = MakeExecutor(made.program, made.bytes, 2);
    const std::vector<std::uint32_t> a = SomeIds(20, c.model.vocabulary, 1);
    const std::vector<std::uint32_t> b = SomeIds(13, c.model.vocabulary, 2);
    const std::vector<std::string> alone_a = LogitsOf({executor.get()}, a, 20, 3);
    const std::vector<std::string> alone_b = LogitsOf({executor.get()}, b, 1, 1);
    v1::Step step;
    step.add_closed(1);
    step.add_closed(3);
    AddSpan(step, 2, b, 0, b.size());
    AddSpan(step, 0, a, 0, a.size());
    StepOutput out;
    ASSERT_TRUE(executor->Run(step, {}, out).ok());
    ASSERT_EQ(out.outputs.size(), a.size() + b.size());
    for (std::size_t i = 0; i < b.size(); ++i) {
      EXPECT_EQ(out.outputs[i].logits(), alone_b[i]) << c.name;
      EXPECT_EQ(out.outputs[i].sequence(), 2U);
      EXPECT_EQ(out.outputs[i].position(), i);
    }
    for (std::size_t i = 0; i < a.size(); ++i) {
      EXPECT_EQ(out.outputs[b.size() + i].logits(), alone_a[i]) << c.name;
    }
  }
}

TEST(Executor, GivesTheSameBitsWithEveryInstructionSet) {
  for (const Case& c : Cases()) {
    const SmallProgram made = MakeSmallProgram(c.model);
    const std::vector<std::uint32_t> ids = SomeIds(40, c.model.vocabulary);
    const auto portable = MakeExecutor(made.program, made.bytes, 2, "portable");
    for (const std::string& variant : portable->Variants()) {
      EXPECT_NE(variant.find("portable"), std::string::npos) << variant;
    }
    const std::vector<std::string> expected = LogitsOf({portable.get()}, ids, 40);
    for (const char* isa : {"avx2", "avx512", "neon", "dotprod", "i8mm"}) {
      kernels::Features features = 0;
      if (kernels::ChooseIsa(isa, &features) != kernels::IsaChoice::kOk) continue;
      const auto fast = MakeExecutor(made.program, made.bytes, 2, isa);
      EXPECT_EQ(LogitsOf({fast.get()}, ids, 40), expected) << c.name << ", " << isa;
    }
  }
}

TEST(Executor, GivesTheSameBitsInOnePartOrSeveral) {
  for (const Case& c : Cases()) {
    const SmallProgram made = MakeSmallProgram(c.model);
    const std::vector<std::uint32_t> ids = SomeIds(21, c.model.vocabulary);
    const auto whole = MakeExecutor(made.program, made.bytes, 1);
    const std::vector<std::string> expected = LogitsOf({whole.get()}, ids, 6);
    for (std::uint32_t cut = 1; cut < 4; ++cut) {
      const auto first = MakeExecutor(program::ExtractShard(made.program, 0, cut), made.bytes, 2);
      const auto second =
          MakeExecutor(program::ExtractShard(made.program, cut, 4 - cut), made.bytes, 1);
      EXPECT_EQ(LogitsOf({first.get(), second.get()}, ids, 6), expected) << c.name << ", " << cut;
    }
  }
}

TEST(Executor, ReadsSharedPagesAsItsOwn) {
  const SmallProgram made = MakeSmallProgram();
  const auto executor = MakeExecutor(made.program, made.bytes, 2);
  const std::vector<std::uint32_t> ids = SomeIds(20, 50);
  const std::vector<std::string> expected = LogitsOf({executor.get()}, ids, 20, 0);
  // Another sequence begins at position 16 with the first's two full pages and one of its own.
  v1::Step step;
  AddSpan(step, 1, ids, 16, 20);
  v1::Span& span = *step.mutable_spans(0);
  span.clear_pages();
  for (const std::uint32_t page : {0, 3, 15}) span.add_pages(page);
  for (std::size_t i = 0; i < 16; ++i) span.mutable_start()->add_known_ids(ids[i]);
  StepOutput out;
  const Status status = executor->Run(step, {}, out);
  ASSERT_TRUE(status.ok()) << status.message();
  for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(out.outputs[i].logits(), expected[16 + i]);
}

TEST(Executor, ForgetsWhatLiesBehindAnEarlierPosition) {
  const SmallProgram made = MakeSmallProgram();
  const auto executor = MakeExecutor(made.program, made.bytes, 1);
  const std::vector<std::uint32_t> ids = SomeIds(12, 50);
  const std::vector<std::string> expected = LogitsOf({executor.get()}, ids, 12);
  std::vector<std::uint32_t> other = ids;
  for (std::size_t i = 5; i < other.size(); ++i) other[i] = (other[i] + 1) % 50;
  LogitsOf({executor.get()}, other, 12);
  v1::Step step;
  AddSpan(step, 0, ids, 5, 12);
  step.mutable_spans(0)->clear_pages();
  StepOutput out;
  ASSERT_TRUE(executor->Run(step, {}, out).ok());
  for (std::size_t i = 5; i < 12; ++i) EXPECT_EQ(out.outputs[i - 5].logits(), expected[i]);
}

TEST(Executor, TakesExactlyTheMemoryThatTheProgramCounts) {
  for (const Case& c : Cases()) {
    const SmallProgram made = MakeSmallProgram(c.model);
    const program::MemoryNeed need = program::Memory(made.program, SmallLimits());
    const v1::MemoryUse use = MakeExecutor(made.program, made.bytes)->MemoryUse();
    EXPECT_EQ(use.weight_bytes(), need.weight_bytes) << c.name;
    EXPECT_EQ(use.cache_bytes(), need.cache_bytes) << c.name;
    EXPECT_EQ(use.buffer_bytes(), need.buffer_bytes) << c.name;
  }
}

// The count of memory may not see the kernels; this sees both.
TEST(Executor, PacksEveryEncodingIntoTheBytesThatAreCounted) {
  for (const kernels::MatmulKernel& kernel : kernels::MatmulKernels()) {
    const kernels::EncodingInfo& info = *kernels::FindEncoding(kernel.encoding);
    for (const std::uint32_t outputs : {1U, 16U, 50U, 576U}) {
      kernels::MatmulShape shape{};
      shape.outputs = outputs;
      shape.inputs = 768;
      kernels::DefaultSegments(&shape, info.block_values);
      v1::Program program;
      v1::Weight& weight = *program.add_weights();
      weight.set_encoding(static_cast<v1::Encoding>(kernel.encoding));
      weight.add_shape(outputs);
      weight.add_shape(768);
      program::HeldWeight held;
      held.form = program::HeldForm::kMatrix;
      held.input_form = static_cast<v1::InputForm>(kernel.form);
      EXPECT_LE(kernel.packed_bytes(shape), program::HeldBytes(program, held)) << kernel.name;
    }
  }
}

TEST(Executor, RefusesWhatDoesNotFitItsMemoryAndShowsTheSum) {
  const SmallProgram made = MakeSmallProgram();
  testing::MapSource source(made.bytes);
  const program::MemoryNeed need = program::Memory(made.program, SmallLimits());
  ExecutorOptions options;
  options.threads = 1;
  options.memory_limit = need.total;
  EXPECT_TRUE(Executor::Create(made.program, SmallLimits(), options, source).ok());
  options.memory_limit = need.total - 1;
  const auto refused = Executor::Create(made.program, SmallLimits(), options, source);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.status().code(), Code::kResourceExhausted);
  EXPECT_NE(refused.status().message().find(std::to_string(need.cache_bytes)), std::string::npos);
}

TEST(Executor, RefusesAWrongProgramBeforeItAsksForWeights) {
  SmallProgram made = MakeSmallProgram();
  made.program.mutable_blocks(1)->mutable_operations(1)->mutable_linear()->set_weight(9999);
  const std::map<std::string, std::vector<std::byte>> none;
  testing::MapSource source(none);
  const auto refused = Executor::Create(made.program, SmallLimits(), {}, source);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.status().message().rfind("layer.0/q: ", 0), 0U);
}

TEST(Executor, NamesAWeightThatIsMissingShortOrNotFinite) {
  const SmallProgram made = MakeSmallProgram();
  const v1::Weight& gain = made.program.weights(2);
  ASSERT_EQ(gain.encoding(), v1::ENCODING_F32);
  const auto refusal = [&](const std::map<std::string, std::vector<std::byte>>& bytes) {
    testing::MapSource source(bytes);
    const auto executor = Executor::Create(made.program, SmallLimits(), {}, source);
    return executor.ok() ? std::string() : executor.status().message();
  };
  auto bytes = made.bytes;
  bytes.erase(gain.sha256());
  EXPECT_EQ(refusal(bytes), gain.name() + ": no such weight");
  bytes = made.bytes;
  bytes[gain.sha256()].pop_back();
  EXPECT_NE(refusal(bytes).find(gain.name() + ": has "), std::string::npos);
  bytes = made.bytes;
  const float infinity = std::numeric_limits<float>::infinity();
  std::memcpy(bytes[gain.sha256()].data(), &infinity, sizeof(infinity));
  EXPECT_NE(refusal(bytes).find(gain.name() + ": holds a number that is not finite"),
            std::string::npos);
}

// The small program with the embedding's columns in the order that a weight says.
SmallProgram Permuted(const std::vector<float>& columns) {
  SmallProgram made = MakeSmallProgram();
  v1::Weight& weight = *made.program.add_weights();
  weight.set_name("columns");
  weight.set_encoding(v1::ENCODING_F32);
  weight.add_shape(columns.size());
  weight.set_sha256(std::string(32, 'c'));
  const auto bytes = std::as_bytes(std::span(columns));
  made.bytes[weight.sha256()].assign(bytes.begin(), bytes.end());
  for (v1::Operation& op : *made.program.mutable_blocks(0)->mutable_operations()) {
    if (op.name() != "scale") continue;
    op.mutable_gather()->set_kind(v1::Gather::KIND_PERMUTE);
    op.mutable_gather()->set_columns(static_cast<std::uint32_t>(made.program.weights_size() - 1));
  }
  return made;
}

TEST(Executor, ReadsColumnsInTheOrderOfAWeight) {
  std::vector<float> columns(64);
  for (std::size_t i = 0; i < columns.size(); ++i) columns[i] = static_cast<float>(7 * i % 64);
  const SmallProgram made = Permuted(columns);
  const std::vector<std::uint32_t> ids = SomeIds(9, 50);
  const auto executor = MakeExecutor(made.program, made.bytes);
  ASSERT_NE(executor, nullptr);
  ExpectNear(LogitsOf({executor.get()}, ids, 9),
             testing::Reference(made.program, made.bytes).Logits(ids), 2e-5);
}

TEST(Executor, RefusesColumnsThatAreNotThere) {
  for (const float wrong : {-1.0F, 0.5F, 64.0F, 1e30F}) {
    std::vector<float> columns(64);
    columns[5] = wrong;
    const SmallProgram made = Permuted(columns);
    testing::MapSource source(made.bytes);
    const auto executor = Executor::Create(made.program, SmallLimits(), {}, source);
    ASSERT_FALSE(executor.ok()) << wrong;
    EXPECT_NE(executor.status().message().find("embed/scale: columns[5] is"), std::string::npos)
        << executor.status().message();
  }
}

TEST(Executor, RefusesAnInstructionSetThatThereIsNot) {
  const SmallProgram made = MakeSmallProgram();
  testing::MapSource source(made.bytes);
  ExecutorOptions options;
  options.isa = "sse9";
  const auto refused = Executor::Create(made.program, SmallLimits(), options, source);
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.status().message().find("sse9"), std::string::npos);
}

// One id's row of the table is infinite: only the sequence that has this id is at fault.
TEST(Executor, EndsAStepWhoseValuesAreNotFiniteAndSaysWhoseTheyWere) {
  constexpr std::uint32_t kBadId = 7;
  for (const bool integers : {false, true}) {
    SmallModel model;
    if (integers) {
      model.encoding = v1::ENCODING_Q8_0;
      model.input_form = v1::INPUT_FORM_A8_32;
    }
    SmallProgram made = MakeSmallProgram(model);
    std::vector<std::byte>& table = made.bytes[made.program.weights(0).sha256()];
    const float infinity = std::numeric_limits<float>::infinity();
    const std::uint16_t half_infinity = 0x7c00;
    std::byte* row = table.data() + table.size() / 50 * kBadId;
    if (integers) {
      std::memcpy(row, &half_infinity, sizeof(half_infinity));
    } else {
      std::memcpy(row, &infinity, sizeof(infinity));
    }
    const auto executor = MakeExecutor(program::ExtractShard(made.program, 0, 3), made.bytes, 2);
    v1::Step step;
    AddSpan(step, 1, {1, 2, 3}, 0, 3);
    AddSpan(step, 3, {4, 5, kBadId, 6}, 0, 4);
    StepOutput out;
    const Status status = executor->Run(step, {}, out);
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.code(), Code::kInvalidArgument);
    EXPECT_EQ(status.message(), "layer.0/q: its input is not finite (sequence 3, position 2)");
    ASSERT_TRUE(out.failed_sequence.has_value());
    EXPECT_EQ(*out.failed_sequence, 3U);
    EXPECT_TRUE(out.activations.empty());
    // The other sequence may start again where it was, without the one at fault.
    v1::Step again;
    again.add_closed(3);
    AddSpan(again, 1, {1, 2, 3}, 0, 3);
    again.mutable_spans(0)->clear_start();
    again.mutable_spans(0)->clear_pages();
    EXPECT_TRUE(executor->Run(again, {}, out).ok());
  }
}

// Infinite weights in all experts: what comes out of gate and up is looked at.
TEST(Executor, EndsAStepWhoseExpertsGiveWhatIsNotFinite) {
  for (const bool integers : {false, true}) {
    SmallModel model;
    model.moe = bramble::testing::SmallExperts();
    if (integers) {
      model.encoding = v1::ENCODING_Q8_0;
      model.input_form = v1::INPUT_FORM_A8_32;
    }
    SmallProgram made = MakeSmallProgram(model);
    for (const v1::Weight& weight : made.program.weights()) {
      if (weight.name().find("layer.0.up.") != 0) continue;
      std::vector<std::byte>& bytes = made.bytes[weight.sha256()];
      const float infinity = std::numeric_limits<float>::infinity();
      const std::uint16_t half_infinity = 0x7c00;
      std::memcpy(bytes.data(), integers ? static_cast<const void*>(&half_infinity) : &infinity,
                  integers ? sizeof(half_infinity) : sizeof(infinity));
    }
    const auto executor = MakeExecutor(program::ExtractShard(made.program, 0, 3), made.bytes, 2);
    v1::Step step;
    AddSpan(step, 1, {1, 2, 3}, 0, 3);
    StepOutput out;
    const Status status = executor->Run(step, {}, out);
    EXPECT_EQ(status.message(),
              "layer.0/experts: its input is not finite (sequence 1, position 0)");
  }
}

TEST(Executor, RefusesActivationsOfAnotherSize) {
  const SmallProgram made = MakeSmallProgram();
  const auto executor = MakeExecutor(program::ExtractShard(made.program, 1, 3), made.bytes);
  v1::Step step;
  AddSpan(step, 0, SomeIds(4, 50), 0, 4);
  StepOutput out;
  EXPECT_NE(executor->Run(step, {}, out).message().find("0 streams came, 1 enter"),
            std::string::npos);
  const std::vector<std::byte> bytes(4 * 64 * 4 - 1);
  const std::span<const std::byte> input(bytes);
  EXPECT_NE(
      executor->Run(step, {&input, 1}, out).message().find("has 1023 bytes, the step needs 1024"),
      std::string::npos);
}

// A step that failed further up brings no activations, only the sequences that it closed.
TEST(Executor, ClosesSequencesInAStepWithoutSpans) {
  const SmallProgram made = MakeSmallProgram();
  const auto first = MakeExecutor(program::ExtractShard(made.program, 0, 2), made.bytes);
  const auto second = MakeExecutor(program::ExtractShard(made.program, 2, 2), made.bytes);
  const std::vector<std::uint32_t> ids = SomeIds(6, 50);
  const std::vector<std::string> expected = LogitsOf({first.get(), second.get()}, ids, 6, 2);
  v1::Step step;
  step.add_closed(2);
  StepOutput out;
  EXPECT_TRUE(first->Run(step, {}, out).ok());
  ASSERT_EQ(out.activations.size(), 1U);
  EXPECT_TRUE(out.activations[0].empty());
  EXPECT_TRUE(second->Run(step, {}, out).ok());
  EXPECT_TRUE(out.outputs.empty());
  // Both have forgotten it: it can be started again.
  v1::Step again;
  AddSpan(again, 2, ids, 0, ids.size());
  std::vector<v1::OutputResult> results;
  const Status status = testing::RunParts({first.get(), second.get()}, again, results);
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(results.back().logits(), expected.back());
}

}  // namespace
}  // namespace bramble::worker
