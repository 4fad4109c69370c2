// Models of every shape: the same bits in one part or several, in slices, on any number of threads,
// with every instruction set, in a batch, and however a prompt is cut.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "model/model.h"
#include "proto/program/memory.h"
#include "proto/program/shard.h"
#include "proto/program/slice.h"
#include "proto/program/traits.h"
#include "tests/model_golden/memory_group.h"
#include "tests/model_golden/model_source.h"
#include "worker/exec/executor.h"

namespace bramble {
namespace {

namespace fs = std::filesystem;

constexpr std::uint32_t kPagePositions = 8;
constexpr std::uint32_t kPagesOfOne = 6;
constexpr std::size_t kIds = 29;
constexpr std::size_t kSource = 37;

// How a prompt is run.
struct Way {
  std::uint32_t parts = 1;
  std::vector<std::uint32_t> shares = {};  // of the members that share each part; none: one does
  int threads = 1;
  const char* isa = "";
  std::size_t chunk = 100;   // ids of a step
  std::uint32_t others = 0;  // sequences beside it in every step
};

class EveryModel : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    const fs::path path = fs::path(BRAMBLE_SOURCE_DIR) / "tests/golden/models" / GetParam();
    auto model = model::Model::Open(path.string(), {});
    ASSERT_TRUE(model.ok()) << model.status().message();
    model_ = *std::move(model);
    source_ = std::make_unique<ModelSource>(*model_);
    traits_ = program::TraitsOf(model_->program());
  }

  v1::Limits Limits() const {
    v1::Limits limits;
    limits.set_max_rows(160);
    limits.set_max_outputs(160);
    limits.set_max_sequences(4);
    limits.set_pages(4 * kPagesOfOne);
    limits.set_page_positions(kPagePositions);
    return limits;
  }

  // The members that share a part.
  struct Part {
    std::unique_ptr<MemoryGroup> group;
    std::vector<std::unique_ptr<worker::Executor>> members;
  };

  std::vector<Part> Executors(const Way& way) {
    const auto blocks = static_cast<std::uint32_t>(model_->program().blocks_size());
    std::vector<Part> parts;
    for (std::uint32_t i = 0; i < way.parts; ++i) {
      const std::uint32_t first = blocks * i / way.parts;
      const std::uint32_t end = blocks * (i + 1) / way.parts;
      const v1::Program shard = program::ExtractShard(model_->program(), first, end - first);
      Part& part = parts.emplace_back();
      const auto members = static_cast<std::uint32_t>(way.shares.size());
      if (members == 0) {
        part.members.push_back(MakeExecutor(way, shard, nullptr));
        continue;
      }
      part.group = std::make_unique<MemoryGroup>(members);
      for (std::uint32_t m = 0; m < members; ++m) {
        part.members.push_back(
            MakeExecutor(way, SliceOf(shard, way.shares, m), part.group->member(m)));
      }
    }
    return parts;
  }

  std::unique_ptr<worker::Executor> MakeExecutor(const Way& way, const v1::Program& shard,
                                                 worker::Peers* peers) {
    worker::ExecutorOptions options;
    options.threads = way.threads;
    options.isa = way.isa;
    options.peers = peers;
    auto executor = worker::Executor::Create(shard, Limits(), options, *source_);
    EXPECT_TRUE(executor.ok()) << executor.status().message();
    const program::MemoryNeed need = program::Memory(shard, Limits());
    EXPECT_EQ((*executor)->MemoryUse().cache_bytes(), need.cache_bytes);
    EXPECT_EQ((*executor)->MemoryUse().buffer_bytes(), need.buffer_bytes);
    return *std::move(executor);
  }

  v1::Program SliceOf(const v1::Program& shard, const std::vector<std::uint32_t>& shares,
                      std::uint32_t member) {
    program::SliceOptions options;
    options.shares = shares;
    options.smallest_product = 1;
    auto slice = program::MakeSlice(
        shard, options, member,
        [this](const v1::Weight& weight, std::uint64_t first, std::uint64_t count) {
          return source_->AddRows(weight, first, count);
        });
    EXPECT_TRUE(slice.ok()) << slice.status().message();
    EXPECT_TRUE(program::TraitsOf(*slice).meets);
    return *std::move(slice);
  }

  std::uint32_t Id(std::uint32_t slot, std::size_t i) const {
    return static_cast<std::uint32_t>((7 * i + 31 * slot + i * i) %
                                      model_->program().vocabulary_size());
  }

  // Ids [first, last) of a slot's prompt.
  void AddSpan(v1::Step& step, std::uint32_t slot, std::size_t first, std::size_t last) const {
    v1::Span& span = *step.add_spans();
    span.set_sequence(slot);
    span.set_position(static_cast<std::uint32_t>(first));
    for (std::size_t i = first; i < last; ++i) {
      span.add_ids(Id(slot, i));
      v1::Output& output = *span.add_outputs();
      output.set_row(static_cast<std::uint32_t>(i - first));
      output.set_logits(true);
    }
    if (first > 0) return;
    for (std::uint32_t page = 0; page < kPagesOfOne; ++page) {
      span.add_pages(slot * kPagesOfOne + (page * 5 + 2) % kPagesOfOne);
    }
    span.mutable_start()->set_prompt_ids(kIds);
    if (!traits_.source) return;
    for (std::size_t i = 0; i < kSource - slot; ++i) span.add_source_ids(Id(slot + 4, i));
  }

  static Status RunStep(std::vector<Part>& parts, const v1::Step& step, worker::StepOutput& out) {
    std::vector<std::string> crossing;
    for (Part& part : parts) {
      std::vector<std::span<const std::byte>> inputs;
      for (const std::string& bytes : crossing) inputs.push_back(std::as_bytes(std::span(bytes)));
      RETURN_IF_ERROR(RunPart(part, step, inputs, out));
      crossing = out.activations;
    }
    return {};
  }

  // Each member in a thread of its own; what member 0 leaves, and what the others leave is the
  // same.
  static Status RunPart(Part& part, const v1::Step& step,
                        const std::vector<std::span<const std::byte>>& inputs,
                        worker::StepOutput& out) {
    std::vector<std::thread> threads;
    std::vector<worker::StepOutput> outputs(part.members.size());
    std::vector<Status> ended(part.members.size());
    for (std::size_t m = 0; m < part.members.size(); ++m) {
      threads.emplace_back([&, m] { ended[m] = part.members[m]->Run(step, inputs, outputs[m]); });
    }
    for (std::thread& thread : threads) thread.join();
    for (std::size_t m = 0; m < part.members.size(); ++m) {
      EXPECT_EQ(ended[m].code(), ended[0].code()) << ended[m].message();
      EXPECT_TRUE(outputs[m].activations == outputs[0].activations) << "member " << m;
    }
    out = std::move(outputs[0]);
    return ended[0];
  }

  // Everything that the model says of the prompt of slot 1.
  std::string Everything(const Way& way) {
    auto parts = Executors(way);
    std::string bytes;
    const std::size_t chunk = traits_.whole_sequences ? kIds : way.chunk;
    for (std::size_t first = 0; first < kIds; first += chunk) {
      v1::Step step;
      step.set_number(first + 1);
      const std::size_t last = std::min(first + chunk, kIds);
      // The others come before and behind, and have other lengths.
      const auto add_other = [&](std::uint32_t slot, std::size_t length) {
        if (way.others >= slot) AddSpan(step, slot == 1 ? 0 : slot, first, std::min(last, length));
      };
      if (first < kIds - 3) add_other(1, kIds - 3);
      AddSpan(step, 1, first, last);
      if (first < kIds - 6) add_other(2, kIds - 6);
      worker::StepOutput out;
      const Status status = RunStep(parts, step, out);
      EXPECT_TRUE(status.ok()) << status.message();
      for (const v1::OutputResult& output : out.outputs) {
        if (output.sequence() == 1) bytes += output.logits();
      }
      if (!traits_.draws) bytes += ResultsOf(step, out);
    }
    return bytes;
  }

  // The rows of slot 1 of every stream that leaves.
  std::string ResultsOf(const v1::Step& step, const worker::StepOutput& out) const {
    std::size_t before = 0;
    std::size_t rows_before = 0;
    while (step.spans(static_cast<int>(before)).sequence() != 1) {
      rows_before += static_cast<std::size_t>(step.spans(static_cast<int>(before)).ids_size());
      ++before;
    }
    std::string bytes;
    std::size_t next = 0;
    for (const v1::Stream& stream : model_->program().streams()) {
      if (!stream.leaves()) continue;
      const bool sequence = stream.rows() == v1::ROW_KIND_SEQUENCE;
      const std::size_t width = stream.width() * sizeof(float);
      bytes += out.activations.at(next++).substr((sequence ? before : rows_before) * width,
                                                 (sequence ? 1 : kIds) * width);
    }
    return bytes;
  }

  std::unique_ptr<model::Model> model_;
  std::unique_ptr<ModelSource> source_;
  program::Traits traits_;
};

TEST_P(EveryModel, GivesTheSameBitsEveryWay) {
  const std::string expected = Everything({.isa = "portable"});
  ASSERT_FALSE(expected.empty());
  const Way ways[] = {
      {},
      {.threads = 4},
      {.chunk = 1},
      {.chunk = 5, .others = 2},
      {.threads = 3, .others = 1},
      {.parts = 2},
      {.parts = 3, .threads = 2, .chunk = 4, .others = 2},
      {.parts = static_cast<std::uint32_t>(model_->program().blocks_size())},
      {.shares = {1, 1}},
      {.shares = {3, 1, 2}, .threads = 2, .chunk = 5, .others = 2},
      {.shares = {0, 1, 1, 1, 2}},
      {.parts = 2, .shares = {2, 3}, .chunk = 9},
  };
  for (const Way& way : ways) {
    EXPECT_TRUE(Everything(way) == expected)
        << way.parts << " parts, " << way.shares.size() << " members, " << way.threads
        << " threads, chunks of " << way.chunk << ", " << way.others << " others";
  }
}

// A step that has failed, or never came, must not be taken for one that was computed.
TEST_P(EveryModel, RefusesToGoBackWhereItCannot) {
  auto parts = Executors({});
  const auto run = [&](std::size_t first, std::size_t last) {
    v1::Step step;
    AddSpan(step, 1, first, last);
    worker::StepOutput out;
    return RunStep(parts, step, out);
  };
  const Status started = run(0, 8);
  ASSERT_TRUE(started.ok()) << started.message();
  const Status back = run(4, 8);
  const Status on = run(8, 9);
  EXPECT_EQ(back.ok(), !traits_.states && !traits_.whole_sequences) << back.message();
  EXPECT_EQ(on.ok(), !traits_.whole_sequences) << on.message();
}

INSTANTIATE_TEST_SUITE_P(Golden, EveryModel,
                         ::testing::Values("bert", "modernbert", "mamba2", "lfm2", "t5", "gpt2",
                                           "bloom_6_heads", "falcon_7b_style", "gpt_neox", "phi3",
                                           "qwen3", "gguf_gemma3_q4_0", "gguf_llama_q4_k_m",
                                           "mixtral", "gguf_olmoe_q8_0", "deepseek_v3", "gpt_oss",
                                           "exl2_llama_mixed", "bnb_nf4_double_llama"),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace bramble
