// Lies of single operations.
#include <gtest/gtest.h>

#include <limits>

#include "proto/program/check.h"
#include "tests/proto/lies.h"

namespace bramble::program {
namespace {

using testing::ExpectRefused;
using testing::kInfinity;
using testing::kNan;
using testing::Op;
using testing::Output;

TEST(CheckProgram, RefusesLiesOfLinears) {
  const auto linear = [](v1::Program& p) -> v1::Linear& {
    return *Op(p, "layer.0", "attn_out").mutable_linear();
  };
  ExpectRefused({
      {"no such weight", [=](auto& p) { linear(p).set_weight(12345); },
       "layer.0/attn_out: ", "12345"},
      {"another's weight",
       [=](auto& p) { linear(p).set_weight(Op(p, "layer.0", "q").linear().weight()); },
       "layer.0/attn_out: ", "wide, must be"},
      {"a vector for a matrix",
       [=](auto& p) { linear(p).set_weight(Op(p, "layer.0", "attn_norm").norm().gain()); },
       "layer.0/attn_out: ", "two dimensions"},
      {"no such bias", [=](auto& p) { linear(p).set_bias(~0U); }, "layer.0/attn_out: ", "bias"},
      {"a matrix for a bias", [=](auto& p) { linear(p).set_bias(0); },
       "layer.0/attn_out: ", "[50, 64]"},
      {"no input form", [=](auto& p) { linear(p).clear_input_form(); },
       "layer.0/attn_out: ", "input_form 0"},
      {"integers for float weights",
       [=](auto& p) { linear(p).set_input_form(v1::INPUT_FORM_A8_32); },
       "layer.0/attn_out: ", "take no A8_32"},
      {"integer mode", [=](auto& p) { linear(p).mutable_integer(); },
       "layer.0/attn_out: ", "not run"},
      {"no segments", [=](auto& p) { linear(p).clear_segment_ends(); },
       "layer.0/attn_out: ", "segment_ends"},
      {"nine segments",
       [=](auto& p) {
         linear(p).clear_segment_ends();
         for (std::uint32_t i = 1; i <= 9; ++i) linear(p).add_segment_ends(i * 32);
       },
       "layer.0/attn_out: ", "must have 1 to 8"},
      {"segments that fall", [=](auto& p) { linear(p).set_segment_ends(1, 32); },
       "layer.0/attn_out: ", "do not rise"},
      {"a segment in the middle of a group", [=](auto& p) { linear(p).set_segment_ends(0, 31); },
       "layer.0/attn_out: ", "31 is not a multiple"},
      {"segments that end early", [=](auto& p) { linear(p).mutable_segment_ends()->RemoveLast(); },
       "layer.0/attn_out: ", "end at 96"},
      {"segments that end late", [=](auto& p) { linear(p).set_segment_ends(3, 160); },
       "layer.0/attn_out: ", "end at 160"},
      {"two outputs",
       [](auto& p) { Op(p, "layer.0", "q").add_outputs(Op(p, "layer.0", "ffn_act").outputs(0)); },
       "layer.0/q: ", "2 outputs, needs 1"},
      {"no input", [](auto& p) { Op(p, "layer.0", "q").clear_inputs(); },
       "layer.0/q: ", "0 inputs"},
  });
}

TEST(CheckProgram, RefusesLiesOfAttention) {
  const auto attention = [](v1::Program& p) -> v1::Attention& {
    return *Op(p, "layer.1", "attention").mutable_attention();
  };
  const char* path = "layer.1/attention: ";
  ExpectRefused({
      {"heads that do not divide", [=](auto& p) { attention(p).set_heads(3); }, path, "3 heads"},
      {"no heads", [=](auto& p) { attention(p).set_heads(0); }, path, "0 heads"},
      {"more heads than queries", [=](auto& p) { attention(p).set_heads(8); }, path, "queries is"},
      {"another cache's dims",
       [](auto& p) { p.mutable_caches(1)->mutable_key_value()->set_value_dim(16); }, path, "wide"},
      {"no keys", [](auto& p) { Op(p, "layer.1", "attention").mutable_inputs()->RemoveLast(); },
       path, "2 inputs, needs 3"},
      {"reads what nobody appended",
       [=](auto& p) {
         attention(p).set_appends(false);
         Op(p, "layer.1", "attention").mutable_inputs()->Truncate(1);
       },
       path, "before anything is appended"},
      {"sees nothing", [=](auto& p) { attention(p).clear_sees(); }, path, "sees 0"},
      {"prefix", [=](auto& p) { attention(p).set_sees(v1::Attention::SEES_PREFIX); }, path,
       "SEES_PREFIX is not run"},
      {"cross", [=](auto& p) { attention(p).set_sees(v1::Attention::SEES_CROSS); }, path,
       "SEES_CROSS needs a cross cache"},
      {"spans", [=](auto& p) { attention(p).set_sees(v1::Attention::SEES_SPANS); }, path,
       "SEES_SPANS is not run"},
      {"both ways over a ring",
       [=](auto& p) {
         p.mutable_caches(1)->mutable_key_value()->set_window(8);
         attention(p).set_window(8);
         attention(p).set_sees(v1::Attention::SEES_BIDIRECTIONAL);
       },
       path, "serves SEES_CAUSAL only"},
      {"a cross cache", [](auto& p) { p.mutable_caches(1)->mutable_key_value()->set_cross(true); },
       path, "read a cross cache"},
      {"keys of tokens in a cross cache",
       [=](auto& p) {
         p.mutable_caches(1)->mutable_key_value()->set_cross(true);
         attention(p).set_sees(v1::Attention::SEES_CROSS);
       },
       path, "must be ROW_KIND_SOURCE"},
      {"a window beyond the cache's",
       [=](auto& p) {
         p.mutable_caches(1)->mutable_key_value()->set_window(8);
         attention(p).set_window(9);
       },
       path, "more than the cache's 8"},
      {"scale NaN", [=](auto& p) { attention(p).set_scale(kNan); }, path, "scale is nan"},
      {"scale 0", [=](auto& p) { attention(p).set_scale(0); }, path, "scale is 0"},
      {"an infinite cap", [=](auto& p) { attention(p).set_soft_cap(kInfinity); }, path,
       "soft_cap is inf"},
      {"a negative cap", [=](auto& p) { attention(p).set_soft_cap(-1); }, path, "soft_cap is -1"},
      {"slopes of another length", [=](auto& p) { attention(p).set_slopes(0); }, path, "slopes"},
      {"sinks that are not there", [=](auto& p) { attention(p).set_sinks(4000); }, path,
       "sinks is weight 4000"},
      {"bucket ids alone", [=](auto& p) { attention(p).set_bucket_ids(0); }, path,
       "need each other"},
      {"a matrix of bucket ids",
       [=](auto& p) {
         attention(p).set_bucket_ids(0);
         attention(p).set_bucket_bias(0);
       },
       path, "must be one odd dimension"},
  });
}

TEST(CheckProgram, RefusesLiesOfTheOthers) {
  const auto norm = [](v1::Program& p) -> v1::Norm& {
    return *Op(p, "layer.0", "q_norm").mutable_norm();
  };
  const auto rope = [](v1::Program& p) -> v1::Rope& {
    return *Op(p, "layer.0", "k_rope").mutable_rope();
  };
  const auto embed = [](v1::Program& p) -> v1::Embed& {
    return *Op(p, "embed", "ids").mutable_embed();
  };
  ExpectRefused({
      {"eps 0", [=](auto& p) { norm(p).set_epsilon(0); }, "layer.0/q_norm: ", "epsilon is 0"},
      {"eps NaN", [=](auto& p) { norm(p).set_epsilon(kNan); },
       "layer.0/q_norm: ", "epsilon is nan"},
      {"no groups", [=](auto& p) { norm(p).set_groups(0); }, "layer.0/q_norm: ", "0 equal groups"},
      {"groups that do not divide", [=](auto& p) { norm(p).set_groups(3); },
       "layer.0/q_norm: ", "3 equal"},
      {"no kind of norm", [=](auto& p) { norm(p).clear_kind(); }, "layer.0/q_norm: ", "kind 0"},
      {"across rows", [=](auto& p) { norm(p).set_across_rows(true); },
       "layer.0/q_norm: ", "not run"},
      {"a gain of another length",
       [=](auto& p) { norm(p).set_gain(Op(p, "layer.0", "attn_norm").norm().gain()); },
       "layer.0/q_norm: ", "gain"},
      {"odd dims", [=](auto& p) { rope(p).set_dims(15); }, "layer.0/k_rope: ", "dims is 15"},
      {"dims beyond the head", [=](auto& p) { rope(p).set_dims(34); },
       "layer.0/k_rope: ", "dims is 34"},
      {"heads that overflow", [=](auto& p) { rope(p).set_heads(1U << 31U); },
       "layer.0/k_rope: ", "wide"},
      {"no style", [=](auto& p) { rope(p).clear_style(); }, "layer.0/k_rope: ", "style 0"},
      {"no magnitude", [=](auto& p) { rope(p).set_magnitude(0); }, "layer.0/k_rope: ", "magnitude"},
      {"frequencies of another length", [=](auto& p) { rope(p).set_dims(8); },
       "layer.0/k_rope: ", "frequencies"},
      {"long frequencies without a length", [=](auto& p) { rope(p).set_long_frequencies(0); },
       "layer.0/k_rope: ", "need each other"},
      {"a length without long frequencies", [=](auto& p) { rope(p).set_long_from(8); },
       "layer.0/k_rope: ", "need each other"},
      {"long frequencies of another shape",
       [=](auto& p) {
         rope(p).set_long_frequencies(0);
         rope(p).set_long_from(8);
       },
       "layer.0/k_rope: ", "long_frequencies has the shape"},
      {"long frequencies that are no weight",
       [=](auto& p) {
         rope(p).set_long_frequencies(1000000);
         rope(p).set_long_from(8);
       },
       "layer.0/k_rope: ", "long_frequencies is weight 1000000"},
      {"sections", [=](auto& p) { rope(p).add_sections(4); }, "layer.0/k_rope: ", "not run"},
      {"a table too short", [](auto& p) { p.set_vocabulary_size(51); },
       "embed/ids: ", "50 entries, needs 51"},
      {"a table of another width",
       [=](auto& p) { embed(p).set_table(Op(p, "layer.0", "ffn_down").linear().weight()); },
       "embed/ids: ", "64 wide, must be 96"},
      {"positions beyond the table",
       [=](auto& p) {
         embed(p).set_source(v1::Embed::SOURCE_POSITION);
         embed(p).set_position_offset(~0U);
       },
       "embed/ids: ", "entries, needs 4294967359"},
      {"types with an offset",
       [=](auto& p) {
         embed(p).set_source(v1::Embed::SOURCE_TYPE);
         embed(p).set_position_offset(1);
       },
       "embed/ids: ", "position_offset without positions"},
      {"replaceable", [=](auto& p) { embed(p).set_replaceable(true); }, "embed/ids: ", "not run"},
      {"no function", [](auto& p) { Op(p, "layer.0", "ffn_act").mutable_gate()->clear_function(); },
       "layer.0/ffn_act: ", "function 0"},
      {"an unknown function",
       [](auto& p) {
         Op(p, "layer.0", "ffn_act").mutable_gate()->set_function(static_cast<v1::Function>(99));
       },
       "layer.0/ffn_act: ", "function 99"},
      {"a negative limit",
       [](auto& p) { Op(p, "layer.0", "ffn_act").mutable_gate()->set_limit(-2); },
       "layer.0/ffn_act: ", "limit is -2"},
      {"a sum of different widths",
       [](auto& p) {
         Op(p, "layer.0", "attn_add").set_inputs(1, Op(p, "layer.0", "q").outputs(0));
       },
       "layer.0/attn_add: ", "128 wide"},
      {"a scale that is not a number",
       [](auto& p) { Op(p, "embed", "scale").mutable_arithmetic()->set_scalar(kNan); },
       "embed/scale: ", "not finite"},
      {"no arithmetic", [](auto& p) { Op(p, "embed", "scale").mutable_arithmetic()->clear_kind(); },
       "embed/scale: ", "kind 0"},
      {"a gather of another kind",
       [](auto& p) { Op(p, "head", "outputs").mutable_gather()->set_kind(v1::Gather::KIND_LAST); },
       "head/outputs: ", "must be ROW_KIND_SEQUENCE"},
      {"columns of another gather",
       [](auto& p) { Op(p, "head", "outputs").mutable_gather()->set_columns(0); },
       "head/outputs: ", "columns belong to KIND_PERMUTE"},
      {"a gather that is not run",
       [](auto& p) { Op(p, "head", "outputs").mutable_gather()->set_kind(v1::Gather::KIND_MERGE); },
       "head/outputs: ", "KIND_MERGE is not run"},
      {"a slice beyond the row",
       [](auto& p) {
         v1::Operation& op = Op(p, "embed", "scale");
         op.mutable_gather()->set_kind(v1::Gather::KIND_SLICE);
         op.mutable_gather()->set_from(~0U);
       },
       "embed/scale: ", "ends at column 4294967359"},
      {"rows of another kind",
       [](auto& p) { Output(p, 3, Op(p, "head", "norm")).set_rows(v1::ROW_KIND_TOKEN); },
       "head/norm: ", "rows of kind"},
      {"a limit above the vocabulary",
       [](auto& p) { Op(p, "head", "sample").mutable_sample()->set_limit(51); },
       "head/sample: ", "limit 51"},
  });
}

}  // namespace
}  // namespace bramble::program
