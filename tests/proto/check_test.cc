#include "proto/program/check.h"

#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <string>

#include "proto/program/shapes.h"
#include "tests/proto/lies.h"

namespace bramble::program {
namespace {

using testing::ExpectRefused;
using testing::MakeSmallProgram;
using testing::Op;
using testing::Small;

TEST(CheckProgram, LetsAValidProgramPass) {
  const Status status = CheckProgram(Small());
  EXPECT_TRUE(status.ok()) << status.message();
}

TEST(CheckProgram, LetsEveryVariationOfTheSmallProgramPass) {
  testing::SmallModel models[8];
  models[1].encoding = v1::ENCODING_Q4_0;
  models[1].input_form = v1::INPUT_FORM_A8_32;
  models[1].cache_encoding = v1::ENCODING_F16;
  models[2].window = 7;
  models[2].soft_cap = 30;
  models[3].learned_positions = true;
  models[3].biases = true;
  models[3].norm = v1::Norm::KIND_LAYER;
  models[4].slopes_and_sinks = true;
  for (int i = 5; i < 8; ++i) models[i].moe = testing::SmallExperts();
  models[6].biases = true;
  models[6].selection_bias = true;
  models[6].expert_scale = true;
  models[7].expert_gates = false;
  models[7].encoding = v1::ENCODING_Q8_0;
  models[7].input_form = v1::INPUT_FORM_A8_32;
  for (const testing::SmallModel& model : models) {
    const Status status = CheckProgram(MakeSmallProgram(model).program);
    EXPECT_TRUE(status.ok()) << status.message();
  }
}

TEST(CheckProgram, KnowsEveryKindOfOperationByItsName) {
  const google::protobuf::OneofDescriptor* kinds =
      v1::Operation::descriptor()->FindOneofByName("kind");
  ASSERT_NE(kinds, nullptr);
  for (int i = 0; i < kinds->field_count(); ++i) {
    const google::protobuf::FieldDescriptor* field = kinds->field(i);
    const OperationRow* row = FindOperation(static_cast<v1::Operation::KindCase>(field->number()));
    ASSERT_NE(row, nullptr) << field->name() << " has no row in shapes.cc";
    EXPECT_EQ(row->name, field->name());
  }
}

TEST(CheckProgram, RefusesLiesAboutTheWhole) {
  ExpectRefused({
      {"version", [](auto& p) { p.set_version(2); }, "program: ", "version 2"},
      {"no context", [](auto& p) { p.set_context_length(0); }, "program: ", "context_length is 0"},
      {"huge context", [](auto& p) { p.set_context_length(1U << 31U); }, "program: ", "context"},
      {"huge vocabulary", [](auto& p) { p.set_vocabulary_size(~0U); }, "program: ", "vocabulary"},
      {"no blocks", [](auto& p) { p.clear_blocks(); }, "program: ", "no blocks"},
      {"too many blocks",
       [](auto& p) {
         for (int i = 0; i < 5000; ++i) p.add_blocks();
       },
       "program: ", "blocks, at most 4096"},
      {"long name", [](auto& p) { p.set_name(std::string(1000, 'x')); }, "program: ", "name"},
      {"a stream that nobody writes",
       [](auto& p) {
         p.add_streams()->set_width(4), p.mutable_streams(3)->set_rows(v1::ROW_KIND_TOKEN);
       },
       "stream 3: ", "no block writes it"},
      {"a stream of no width", [](auto& p) { p.mutable_streams(0)->set_width(0); },
       "hidden.0: ", "0 wide"},
      {"a stream that enters and is written",
       [](auto& p) { p.mutable_streams(1)->set_enters(true); }, "layer.0: output 0: ", "twice"},
      {"a result that does not say that it leaves",
       [](auto& p) { p.mutable_blocks()->RemoveLast(); }, "hidden.2: ", "does not leave"},
      {"grid rows", [](auto& p) { p.mutable_streams(0)->set_rows(v1::ROW_KIND_GRID); },
       "hidden.0: ", "ROW_KIND_GRID are not run"},
      {"a cache that nobody fills", [](auto& p) { *p.add_caches() = p.caches(0); },
       "kv.0: ", "no operation appends"},
      {"a state of no numbers", [](auto& p) { p.mutable_caches(1)->mutable_state(); },
       "kv.1: ", "a state of 0 numbers"},
      {"a state for keys and values",
       [](auto& p) {
         p.mutable_caches(1)->mutable_state()->set_rows(1);
         p.mutable_caches(1)->mutable_state()->set_width(4);
       },
       "layer.1/attention: ", "must hold keys and values"},
      {"a start that is no id", [](auto& p) { p.set_start_id(50); }, "program: ", "start_id is 50"},
      {"a result that does not leave",
       [](auto& p) { p.mutable_streams(0)->set_result(v1::RESULT_KIND_HIDDEN); },
       "hidden.0: ", "does not leave"},
      {"a result of the wrong rows",
       [](auto& p) {
         p.mutable_streams(2)->set_leaves(true);
         p.mutable_streams(2)->set_result(v1::RESULT_KIND_EMBEDDING);
       },
       "hidden.2: ", "needs rows of kind ROW_KIND_SEQUENCE"},
      {"a cache without a kind", [](auto& p) { p.mutable_caches(1)->clear_kind(); },
       "kv.1: ", "no kind"},
      {"a cache in q4_0",
       [](auto& p) { p.mutable_caches(0)->mutable_key_value()->set_encoding(v1::ENCODING_Q4_0); },
       "kv.0: ", "F32 or F16"},
      {"a cache of no heads",
       [](auto& p) { p.mutable_caches(0)->mutable_key_value()->set_kv_heads(0); },
       "kv.0: ", "must be 1"},
      {"a cache whose width overflows",
       [](auto& p) {
         p.mutable_caches(0)->mutable_key_value()->set_kv_heads(1U << 24U);
         p.mutable_caches(0)->mutable_key_value()->set_key_dim(1U << 24U);
       },
       "kv.0: ", "more than"},
  });
}

TEST(CheckProgram, RefusesLiesAboutWeights) {
  const auto weight = [](v1::Program& p) -> v1::Weight& { return *p.mutable_weights(0); };
  ExpectRefused({
      {"unknown encoding", [=](auto& p) { weight(p).set_encoding(static_cast<v1::Encoding>(200)); },
       "table: ", "encoding 200"},
      {"an encoding that wraps",
       [=](auto& p) { weight(p).set_encoding(static_cast<v1::Encoding>(257)); }, "table: ", "257"},
      {"a negative encoding",
       [=](auto& p) { weight(p).set_encoding(static_cast<v1::Encoding>(-255)); },
       "table: ", "-255"},
      {"an encoding of paper", [=](auto& p) { weight(p).set_encoding(v1::ENCODING_I8); },
       "table: ", "ENCODING_I8 is not run"},
      {"half a block",
       [=](auto& p) {
         weight(p).set_encoding(v1::ENCODING_Q8_0);
         weight(p).set_shape(1, 33);
       },
       "table: ", "not whole blocks of 32 (q8_0)"},
      {"no dimensions", [=](auto& p) { weight(p).clear_shape(); }, "table: ", "0 dimensions"},
      {"five dimensions",
       [=](auto& p) {
         for (int i = 0; i < 3; ++i) weight(p).add_shape(1);
       },
       "table: ", "5 dimensions"},
      {"an empty dimension", [=](auto& p) { weight(p).set_shape(0, 0); },
       "table: ", "dimension 0 is 0"},
      {"an empty row", [=](auto& p) { weight(p).set_shape(1, 0); }, "table: ", "dimension 1 is 0"},
      {"bytes that overflow",
       [=](auto& p) {
         weight(p).set_shape(0, std::uint64_t{1} << 62U);
         weight(p).set_shape(1, std::uint64_t{1} << 62U);
       },
       "table: ", "more than"},
      {"bytes that wrap to few",
       [=](auto& p) {
         weight(p).set_shape(0, std::uint64_t{1} << 32U);
         weight(p).set_shape(1, std::uint64_t{1} << 30U);
       },
       "table: ", "more than"},
      {"a short hash", [=](auto& p) { weight(p).set_sha256("abc"); },
       "table: ", "sha256 has 3 bytes"},
      {"inline data of another size", [=](auto& p) { weight(p).set_data("abcd"); },
       "table: ", "data has 4 bytes"},
      {"a mebibyte and more inline",
       [=](auto& p) { weight(p).set_data(std::string((1U << 20U) + 1, 'x')); },
       "table: ", "at most"},
      {"a name with control bytes",
       [=](auto& p) {
         weight(p).set_name("a\x1b[2Jb");
         weight(p).set_sha256("");
       },
       "a\\x1b[2Jb: ", "sha256"},
  });
}

TEST(CheckProgram, RefusesLiesAboutOrderAndReferences) {
  ExpectRefused({
      {"an empty block", [](auto& p) { p.mutable_blocks(1)->clear_operations(); },
       "layer.0: ", "no operations"},
      {"an input that is not there", [](auto& p) { Op(p, "layer.0", "q").set_inputs(0, 999); },
       "layer.0/q: ", "value 999"},
      {"an output that is not there",
       [](auto& p) { Op(p, "layer.0", "q").set_outputs(0, 1U << 31U); },
       "layer.0/q: ", "writes value"},
      {"a value read before it is written",
       [](auto& p) { Op(p, "layer.0", "q").set_inputs(0, Op(p, "layer.0", "ffn_act").outputs(0)); },
       "layer.0/q: ", "before it is written"},
      {"a value read by its own writer",
       [](auto& p) { Op(p, "layer.0", "q").set_inputs(0, Op(p, "layer.0", "q").outputs(0)); },
       "layer.0/q: ", "before it is written"},
      {"a value written twice",
       [](auto& p) { Op(p, "layer.0", "v").set_outputs(0, Op(p, "layer.0", "k").outputs(0)); },
       "layer.0/v: ", "already written"},
      {"an input port's value written again",
       [](auto& p) { Op(p, "layer.0", "attn_add").set_outputs(0, p.blocks(1).inputs(0).value()); },
       "layer.0/attn_add: ", "already written"},
      {"a port to nowhere", [](auto& p) { p.mutable_blocks(1)->mutable_inputs(0)->set_stream(77); },
       "layer.0: input 0: ", "stream 77"},
      {"a port of no value",
       [](auto& p) { p.mutable_blocks(1)->mutable_outputs(0)->set_value(777); },
       "layer.0: output 0: ", "value 777"},
      {"a stream read before its block",
       [](auto& p) { p.mutable_blocks(1)->mutable_inputs(0)->set_stream(2); },
       "layer.0: input 0: ", "read before any block writes it"},
      {"a stream written twice",
       [](auto& p) { p.mutable_blocks(2)->mutable_outputs(0)->set_stream(1); },
       "layer.1: output 0: ", "written twice"},
      {"a stream that enters twice",
       [](auto& p) { *p.mutable_blocks(1)->add_inputs() = p.blocks(1).inputs(0); },
       "layer.0: input 1: ", "enters twice"},
      {"an input passed straight through",
       [](auto& p) {
         p.mutable_blocks(1)->mutable_outputs(0)->set_value(p.blocks(1).inputs(0).value());
       },
       "layer.0: output 0: ", "belongs to another port"},
      {"a port of another width",
       [](auto& p) { p.mutable_blocks(1)->mutable_values(0)->set_width(63); },
       "layer.0: input 0: ", "different widths"},
      {"an operation after the sample",
       [](auto& p) { *p.mutable_blocks(3)->add_operations() = p.blocks(3).operations(0); },
       "head/outputs: ", "follows a sample"},
      {"an operation without a kind", [](auto& p) { Op(p, "layer.1", "k").clear_kind(); },
       "layer.1/k: ", "does not know"},
      {"a cache appended to twice",
       [](auto& p) { Op(p, "layer.1", "attention").mutable_attention()->set_cache(0); },
       "layer.1/attention: ", "used by block 1 too"},
      {"a cache that is not there",
       [](auto& p) { Op(p, "layer.1", "attention").mutable_attention()->set_cache(9); },
       "layer.1/attention: ", "cache 9"},
      {"too many operands",
       [](auto& p) {
         for (int i = 0; i < 100; ++i) Op(p, "layer.0", "q").add_inputs(0);
       },
       "layer.0/q: ", "inputs, at most 64"},
  });
}

TEST(CheckProgram, RefusesByNameWhatThisVersionDoesNotRun) {
  const std::pair<const char*, std::function<void(v1::Operation&)>> kinds[] = {
      {"resize", [](auto& op) { op.mutable_resize(); }},
      {"scan", [](auto& op) { op.mutable_scan(); }},
  };
  for (const auto& [name, set] : kinds) {
    v1::Program program = Small();
    set(Op(program, "layer.1", "ffn_down"));
    const Status status = CheckProgram(program);
    EXPECT_EQ(status.code(), Code::kUnimplemented) << name;
    EXPECT_EQ(status.message(), std::string("layer.1/ffn_down: the operation ") + name +
                                    " is not run by this version");
  }
}

TEST(CheckLimits, NamesTheLimitThatIsWrong) {
  v1::Limits limits;
  limits.set_max_rows(8);
  limits.set_max_outputs(8);
  limits.set_max_sequences(2);
  limits.set_pages(4);
  limits.set_page_positions(16);
  EXPECT_TRUE(CheckLimits(limits).ok());
  limits.set_pages(0);
  EXPECT_NE(CheckLimits(limits).message().find("pages is 0"), std::string::npos);
  limits.set_pages(~0U);
  EXPECT_NE(CheckLimits(limits).message().find("pages is 4294967295"), std::string::npos);
}

}  // namespace
}  // namespace bramble::program
