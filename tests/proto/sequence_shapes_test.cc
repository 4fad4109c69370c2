// Operations along a sequence: a program with one of each, and what is refused of them.
#include "proto/program/sequence_shapes.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "proto/program/check.h"
#include "proto/program/memory.h"
#include "proto/program/traits.h"

namespace bramble::program {
namespace {

constexpr std::uint32_t kWidth = 8;
constexpr std::uint32_t kState = 4;

// One block of tokens: a table, a convolution, the three recurrences, a pool.
class Maker {
 public:
  v1::Program Make() {
    program_.set_version(1);
    program_.set_context_length(16);
    program_.set_vocabulary_size(10);
    block_ = program_.add_blocks();
    block_->set_name("all");
    const std::uint32_t x = Value(kWidth);
    Add("ids", {}, x).mutable_embed()->set_table(Weight({10, kWidth}));
    Last().mutable_embed()->set_source(v1::Embed::SOURCE_ID);
    const std::uint32_t y = Value(kWidth);
    v1::Convolution& convolution = *Add("conv", {x}, y).mutable_convolution();
    convolution.set_kind(v1::Convolution::KIND_CAUSAL);
    convolution.set_weight(Weight({3, kWidth}));
    convolution.set_bias(Weight({kWidth}));
    convolution.set_cache(State(2, kWidth));
    const std::uint32_t b = Value(kState);
    v1::Gather& order = *Add("b", {y}, b).mutable_gather();
    order.set_kind(v1::Gather::KIND_PERMUTE);
    order.set_columns(Weight({kState}));
    const std::uint32_t c = Slice("c", y, 4, kState);
    const std::uint32_t scan = Value(kWidth);
    SetScan(*Add("scan", {y, x, b, c}, scan).mutable_recurrence(),
            v1::Recurrence::KIND_SELECTIVE_SCAN, kWidth);
    const std::uint32_t step = Slice("step", y, 0, 2);
    const std::uint32_t dual = Value(kWidth);
    SetScan(*Add("dual", {scan, step, b, c}, dual).mutable_recurrence(),
            v1::Recurrence::KIND_STATE_SPACE_DUAL, 2);
    const std::uint32_t wkv = Value(kWidth);
    v1::Recurrence& average = *Add("wkv", {dual, x}, wkv).mutable_recurrence();
    average.set_kind(v1::Recurrence::KIND_WKV);
    average.add_weights(Weight({kWidth}));
    average.add_weights(Weight({kWidth}));
    average.set_cache(State(3, kWidth));
    const std::uint32_t pooled = Value(kWidth, v1::ROW_KIND_SEQUENCE);
    Add("pool", {wkv}, pooled).mutable_pool()->set_kind(v1::Pool::KIND_MEAN);
    v1::Stream& stream = *program_.add_streams();
    stream.set_width(kWidth);
    stream.set_rows(v1::ROW_KIND_SEQUENCE);
    stream.set_leaves(true);
    stream.set_result(v1::RESULT_KIND_EMBEDDING);
    block_->add_outputs()->set_value(pooled);
    return std::move(program_);
  }

 private:
  std::uint32_t Value(std::uint32_t width, v1::RowKind rows = v1::ROW_KIND_TOKEN) {
    block_->add_values()->set_width(width);
    block_->mutable_values(block_->values_size() - 1)->set_rows(rows);
    return static_cast<std::uint32_t>(block_->values_size() - 1);
  }

  std::uint32_t Weight(const std::vector<std::uint64_t>& shape) {
    v1::Weight& weight = *program_.add_weights();
    weight.set_encoding(v1::ENCODING_F32);
    for (const std::uint64_t n : shape) weight.add_shape(n);
    weight.set_sha256(std::string(32, 'x'));
    return static_cast<std::uint32_t>(program_.weights_size() - 1);
  }

  std::uint32_t State(std::uint32_t rows, std::uint32_t width) {
    v1::StateCache& state = *program_.add_caches()->mutable_state();
    state.set_rows(rows);
    state.set_width(width);
    return static_cast<std::uint32_t>(program_.caches_size() - 1);
  }

  v1::Operation& Add(const std::string& name, const std::vector<std::uint32_t>& inputs,
                     std::uint32_t output) {
    v1::Operation& op = *block_->add_operations();
    op.set_name(name);
    for (const std::uint32_t input : inputs) op.add_inputs(input);
    op.add_outputs(output);
    return op;
  }
  v1::Operation& Last() { return *block_->mutable_operations(block_->operations_size() - 1); }

  std::uint32_t Slice(const std::string& name, std::uint32_t x, std::uint32_t from,
                      std::uint32_t width) {
    const std::uint32_t y = Value(width);
    Add(name, {x}, y).mutable_gather()->set_kind(v1::Gather::KIND_SLICE);
    Last().mutable_gather()->set_from(from);
    return y;
  }

  void SetScan(v1::Recurrence& scan, v1::Recurrence::Kind kind, std::uint32_t heads) {
    scan.set_kind(kind);
    scan.set_heads(heads);
    scan.set_state_size(kState);
    const bool dual = kind == v1::Recurrence::KIND_STATE_SPACE_DUAL;
    scan.add_weights(dual ? Weight({heads}) : Weight({heads, kState}));
    scan.add_weights(Weight({heads}));
    scan.set_cache(State(1, kWidth * kState));
  }

  v1::Program program_;
  v1::Block* block_ = nullptr;
};

v1::Operation& Op(v1::Program& program, const std::string& name) {
  for (v1::Operation& op : *program.mutable_blocks(0)->mutable_operations()) {
    if (op.name() == name) return op;
  }
  ADD_FAILURE() << "no operation " << name;
  return *program.mutable_blocks(0)->mutable_operations(0);
}

TEST(SequenceShapes, LetAProgramWithOneOfEachPass) {
  const v1::Program program = Maker().Make();
  const Status status = CheckProgram(program);
  EXPECT_TRUE(status.ok()) << status.message();
}

TEST(SequenceShapes, SayWhatTheProgramAsksOfItsSteps) {
  const Traits traits = TraitsOf(Maker().Make());
  EXPECT_TRUE(traits.whole_sequences);  // the pool
  EXPECT_TRUE(traits.states);
  EXPECT_FALSE(traits.source);
  EXPECT_FALSE(traits.draws);
}

TEST(SequenceShapes, CountTheStatesOfEverySequence) {
  v1::Limits limits;
  limits.set_max_rows(4);
  limits.set_max_outputs(1);
  limits.set_max_sequences(3);
  limits.set_pages(7);
  limits.set_page_positions(4);
  const v1::Program program = Maker().Make();
  // 2 x 8, twice 32, and 3 x 8 numbers, each rounded up to 64 bytes.
  EXPECT_EQ(StateBytes(program, limits), 3U * (64 + 128 + 128 + 128));
  EXPECT_EQ(Memory(program, limits).cache_bytes, StateBytes(program, limits));
}

TEST(SequenceShapes, RefuseLies) {
  const struct {
    const char* what;
    std::function<void(v1::Program&)> tell;
    const char* message;
  } lies[] = {
      {"no kind", [](auto& p) { Op(p, "conv").mutable_convolution()->clear_kind(); },
       "all/conv: kind 0 does not exist"},
      {"an image",
       [](auto& p) { Op(p, "conv").mutable_convolution()->set_kind(v1::Convolution::KIND_2D); },
       "all/conv: convolution KIND_2D is not run by this version"},
      {"a stride", [](auto& p) { Op(p, "conv").mutable_convolution()->add_stride(2); },
       "all/conv: KIND_CAUSAL has a weight, a bias and a cache only"},
      {"a weight of another width",
       [](auto& p) { Op(p, "conv").mutable_convolution()->set_weight(2); }, "all/conv: weight has"},
      {"no cache", [](auto& p) { Op(p, "conv").mutable_convolution()->clear_cache(); },
       "all/conv: has no cache"},
      {"a cache that is not there",
       [](auto& p) { Op(p, "conv").mutable_convolution()->set_cache(99); },
       "all/conv: cache 99: the program has 4"},
      {"another's cache", [](auto& p) { Op(p, "conv").mutable_convolution()->set_cache(1); },
       "all/conv: cache 1 is [1, 32], must be [2, 8]"},
      {"a cache for two", [](auto& p) { Op(p, "dual").mutable_recurrence()->set_cache(1); },
       "all/dual: cache 1 is used by two operations"},
      {"a recurrence of no kind", [](auto& p) { Op(p, "scan").mutable_recurrence()->clear_kind(); },
       "all/scan: kind 0 does not exist"},
      {"a delta rule",
       [](auto& p) {
         Op(p, "scan").mutable_recurrence()->set_kind(v1::Recurrence::KIND_GATED_DELTA);
       },
       "all/scan: recurrence KIND_GATED_DELTA is not run by this version"},
      {"no columns", [](auto& p) { Op(p, "b").mutable_gather()->clear_columns(); },
       "all/b: needs columns"},
      {"columns of another width", [](auto& p) { Op(p, "b").mutable_gather()->set_columns(2); },
       "all/b: columns has the shape"},
      {"columns in groups", [](auto& p) { Op(p, "b").mutable_gather()->set_groups(2); },
       "all/b: groups belong to"},
      {"no heads", [](auto& p) { Op(p, "dual").mutable_recurrence()->set_heads(0); },
       "all/dual: heads is 0"},
      {"heads that do not divide",
       [](auto& p) { Op(p, "dual").mutable_recurrence()->set_heads(3); }, "all/dual: heads is 3"},
      {"no state", [](auto& p) { Op(p, "scan").mutable_recurrence()->set_state_size(0); },
       "all/scan: state_size is 0"},
      {"a huge state", [](auto& p) { Op(p, "scan").mutable_recurrence()->set_state_size(~0U); },
       "all/scan: state_size is 4294967295"},
      {"b of half a state", [](auto& p) { Op(p, "dual").set_inputs(2, Op(p, "step").outputs(0)); },
       "all/dual: b is 2 wide"},
      {"a weight too few",
       [](auto& p) { Op(p, "wkv").mutable_recurrence()->mutable_weights()->RemoveLast(); },
       "all/wkv: has 1 weights, needs 2"},
      {"a weight that is not there",
       [](auto& p) { Op(p, "wkv").mutable_recurrence()->set_weights(0, 500); },
       "all/wkv: decay is weight 500"},
      {"heads of an average", [](auto& p) { Op(p, "wkv").mutable_recurrence()->set_heads(2); },
       "all/wkv: KIND_WKV has neither"},
      {"a pool of no kind", [](auto& p) { Op(p, "pool").mutable_pool()->clear_kind(); },
       "all/pool: kind 0 does not exist"},
      {"a pool over a window", [](auto& p) { Op(p, "pool").mutable_pool()->add_window(2); },
       "all/pool: a pool over a window is not run by this version"},
      {"a pool that keeps rows",
       [](auto& p) {
         Op(p, "pool").set_outputs(0, Op(p, "pool").outputs(0));
         p.mutable_blocks(0)
             ->mutable_values(static_cast<int>(Op(p, "pool").outputs(0)))
             ->set_rows(v1::ROW_KIND_TOKEN);
       },
       "all/pool: the output has rows of kind ROW_KIND_TOKEN"},
  };
  for (const auto& lie : lies) {
    v1::Program program = Maker().Make();
    lie.tell(program);
    const Status status = CheckProgram(program);
    ASSERT_FALSE(status.ok()) << lie.what;
    EXPECT_EQ(status.message().rfind(lie.message, 0), 0U) << lie.what << ": " << status.message();
  }
}

}  // namespace
}  // namespace bramble::program
