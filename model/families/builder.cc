#include "model/families/builder.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "kernels/encodings/encoding.h"
#include "model/families/segments.h"

namespace bramble::model::families {
namespace {

const kernels::EncodingInfo& InfoOf(v1::Encoding encoding) {
  return *kernels::FindEncoding(static_cast<kernels::Encoding>(encoding));
}

// The most groups of experts whose sums meet in a tree.
constexpr std::uint32_t kMostGroups = 8;

std::uint32_t BlockValues(v1::Encoding encoding) {
  return static_cast<std::uint32_t>(InfoOf(encoding).block_values);
}

}  // namespace

void ProgramBuilder::BeginBlock(std::string name) {
  block_ = program_.add_blocks();
  block_->set_name(std::move(name));
  permuted_.clear();
}

Value ProgramBuilder::NewValue(std::string_view name, std::uint32_t width, v1::RowKind rows) {
  v1::Value* value = block_->add_values();
  value->set_name(std::string(name));
  value->set_width(width);
  value->set_rows(rows);
  return {static_cast<std::uint32_t>(block_->values_size() - 1), width, rows};
}

Value ProgramBuilder::Input() {
  return InputFrom(static_cast<std::uint32_t>(program_.streams_size() - 1));
}

Value ProgramBuilder::InputFrom(std::uint32_t stream) {
  const v1::Stream& from = program_.streams(static_cast<int>(stream));
  const bool source = from.rows() == v1::ROW_KIND_SOURCE;
  const Value value = NewValue(source ? "source" : "hidden", from.width(), from.rows());
  v1::Port* port = block_->add_inputs();
  port->set_stream(stream);
  port->set_value(value.index);
  return value;
}

std::uint32_t ProgramBuilder::Output(Value value) {
  const int number = program_.streams_size();
  v1::Stream* stream = program_.add_streams();
  stream->set_name("hidden." + std::to_string(number));
  stream->set_width(value.width);
  stream->set_rows(value.rows);
  v1::Port* port = block_->add_outputs();
  port->set_stream(static_cast<std::uint32_t>(number));
  port->set_value(value.index);
  return static_cast<std::uint32_t>(number);
}

v1::Operation* ProgramBuilder::NewOperation(std::string_view name,
                                            std::initializer_list<Value> inputs) {
  v1::Operation* operation = block_->add_operations();
  operation->set_name(std::string(name));
  for (const Value& input : inputs) operation->add_inputs(input.index);
  return operation;
}

Value ProgramBuilder::Result(v1::Operation* operation, std::uint32_t width, v1::RowKind rows) {
  const Value value = NewValue(operation->name(), width, rows);
  operation->add_outputs(value.index);
  return value;
}

Value ProgramBuilder::Embed(std::string_view name, WeightRef table, v1::Embed::Source source) {
  weights_.MustBeOne(table, "an embedding's table");
  v1::Operation* operation = NewOperation(name, {});
  operation->mutable_embed()->set_table(table);
  operation->mutable_embed()->set_source(source);
  return Result(operation, weights_.Columns(table), v1::ROW_KIND_TOKEN);
}

Value ProgramBuilder::EmbedPositions(std::string_view name, WeightRef table, std::uint32_t offset) {
  const Value y = Embed(name, table, v1::Embed::SOURCE_POSITION);
  block_->mutable_operations(block_->operations_size() - 1)
      ->mutable_embed()
      ->set_position_offset(offset);
  return y;
}

Value ProgramBuilder::AddLinear(std::string_view name, Value x, WeightRef matrix,
                                std::optional<WeightRef> bias,
                                std::optional<std::uint32_t> kv_heads) {
  if (const Composition* composition = weights_.CompositionOf(matrix)) {
    return AddComposition(name, x, *composition, bias);
  }
  return AddProduct(name, x, matrix, bias, kv_heads);
}

// The columns of a permuted matrix follow no heads, so its sums are cut as any matrix's.
Value ProgramBuilder::AddComposition(std::string_view name, Value x, const Composition& matrix,
                                     std::optional<WeightRef> bias) {
  const auto named = [&](const char* what, const std::string& number) {
    return std::string(name).append(what).append(number);
  };
  if (matrix.permutation) {
    const auto [place, fresh] = permuted_.try_emplace({x.index, *matrix.permutation});
    if (fresh) place->second = Permute(named("_order", ""), x, *matrix.permutation);
    x = place->second;
  }
  if (matrix.parts.size() == 1) return AddProduct(name, x, matrix.parts[0], bias, {});
  std::optional<Value> sum;
  std::uint32_t first = 0;
  for (std::size_t i = 0; i < matrix.parts.size(); ++i) {
    const std::string number = std::to_string(i);
    const std::uint32_t width = weights_.Columns(matrix.parts[i]);
    const Value slice = Slice(named("_columns", number), x, 1, first, width);
    first += width;
    const Value part = AddProduct(named("_part", number), slice, matrix.parts[i],
                                  i == 0 ? bias : std::nullopt, {});
    const bool last = i + 1 == matrix.parts.size();
    sum = sum ? Add(last ? std::string(name) : named("_sum", number), *sum, part) : part;
  }
  return *sum;
}

Value ProgramBuilder::AddProduct(std::string_view name, Value x, WeightRef matrix,
                                 std::optional<WeightRef> bias,
                                 std::optional<std::uint32_t> kv_heads) {
  const std::uint32_t block = BlockValues(weights_.EncodingOf(matrix));
  v1::Operation* operation = NewOperation(name, {x});
  v1::Linear* linear = operation->mutable_linear();
  linear->set_weight(matrix);
  if (bias) linear->set_bias(*bias);
  linear->set_input_form(FormOf(matrix));
  const auto ends =
      kv_heads ? HeadSegmentEnds(x.width, block, *kv_heads) : SegmentEnds(x.width, block);
  for (const std::uint32_t end : ends) linear->add_segment_ends(end);
  return Result(operation, weights_.Rows(matrix), x.rows);
}

Value ProgramBuilder::Linear(std::string_view name, Value x, WeightRef matrix,
                             std::optional<WeightRef> bias) {
  return AddLinear(name, x, matrix, bias, {});
}

Value ProgramBuilder::LinearOfHeads(std::string_view name, Value x, WeightRef matrix,
                                    std::optional<WeightRef> bias, std::uint32_t kv_heads) {
  return AddLinear(name, x, matrix, bias, kv_heads);
}

Value ProgramBuilder::Norm(std::string_view name, Value x, v1::Norm::Kind kind, float epsilon,
                           std::optional<WeightRef> gain, std::optional<WeightRef> bias,
                           std::uint32_t groups) {
  v1::Operation* operation = NewOperation(name, {x});
  v1::Norm* norm = operation->mutable_norm();
  norm->set_kind(kind);
  norm->set_epsilon(epsilon);
  norm->set_groups(groups);
  if (gain) norm->set_gain(*gain);
  if (bias) norm->set_bias(*bias);
  return Result(operation, x.width, x.rows);
}

Value ProgramBuilder::RmsNorm(std::string_view name, Value x, float epsilon, WeightRef gain,
                              std::uint32_t groups) {
  return Norm(name, x, v1::Norm::KIND_RMS, epsilon, gain, {}, groups);
}

Value ProgramBuilder::LayerNorm(std::string_view name, Value x, float epsilon, WeightRef gain,
                                std::optional<WeightRef> bias) {
  return Norm(name, x, v1::Norm::KIND_LAYER, epsilon, gain, bias, 1);
}

RopeWeights ProgramBuilder::KeepRotation(std::string_view name, v1::Rope::Style style,
                                         const Rotation& rotation) {
  RopeWeights rope{style, weights_.Constant(name, rotation.frequencies),
                   static_cast<std::uint32_t>(2 * rotation.frequencies.size())};
  rope.magnitude = rotation.magnitude;
  if (!rotation.long_frequencies.empty()) {
    rope.long_frequencies =
        weights_.Constant(std::string(name) + "_long", rotation.long_frequencies,
                          rotation.long_frequencies.size() / rotation.frequencies.size());
    rope.long_from = rotation.long_from;
  }
  return rope;
}

Value ProgramBuilder::Rope(std::string_view name, Value x, std::uint32_t heads,
                           const RopeWeights& rope) {
  v1::Operation* operation = NewOperation(name, {x});
  v1::Rope* turn = operation->mutable_rope();
  turn->set_style(rope.style);
  turn->set_heads(heads);
  turn->set_head_dim(x.width / heads);
  turn->set_dims(rope.dims);
  turn->set_first(rope.first);
  turn->set_frequencies(rope.frequencies);
  turn->set_magnitude(rope.magnitude);
  if (rope.long_frequencies) turn->set_long_frequencies(*rope.long_frequencies);
  turn->set_long_from(rope.long_from);
  return Result(operation, x.width, x.rows);
}

Value ProgramBuilder::Attention(std::string_view name, Value q, Value k, Value v,
                                const AttentionSpec& spec) {
  const auto number = static_cast<std::uint32_t>(program_.caches_size());
  v1::Cache* cache = program_.add_caches();
  cache->set_name("kv." + std::to_string(number));
  v1::KeyValueCache* pages = cache->mutable_key_value();
  pages->set_kv_heads(spec.kv_heads);
  pages->set_key_dim(spec.key_dim);
  pages->set_value_dim(spec.value_dim);
  if (spec.sees == v1::Attention::SEES_CAUSAL) pages->set_window(spec.window);
  pages->set_cross(k.rows == v1::ROW_KIND_SOURCE);

  v1::Operation* operation = NewOperation(name, {q, k, v});
  v1::Attention* attention = operation->mutable_attention();
  attention->set_cache(number);
  attention->set_heads(spec.heads);
  attention->set_sees(spec.sees);
  attention->set_window(spec.window);
  attention->set_scale(spec.scale);
  attention->set_soft_cap(spec.soft_cap);
  if (spec.sinks) attention->set_sinks(*spec.sinks);
  if (spec.slopes) attention->set_slopes(*spec.slopes);
  if (spec.buckets) attention->set_bucket_bias(spec.buckets->bias);
  if (spec.buckets) attention->set_bucket_ids(spec.buckets->ids);
  attention->set_appends(true);
  return Result(operation, spec.heads * spec.value_dim, q.rows);
}

Value ProgramBuilder::Activate(std::string_view name, Value x, v1::Function function) {
  v1::Operation* operation = NewOperation(name, {x});
  operation->mutable_activation()->set_function(function);
  return Result(operation, x.width, x.rows);
}

Value ProgramBuilder::Gate(std::string_view name, Value a, Value b, v1::Function function) {
  v1::Operation* operation = NewOperation(name, {a, b});
  operation->mutable_gate()->set_function(function);
  return Result(operation, a.width, a.rows);
}

Value ProgramBuilder::AddArithmetic(std::string_view name, std::initializer_list<Value> inputs,
                                    v1::Arithmetic::Kind kind, float scalar) {
  v1::Operation* operation = NewOperation(name, inputs);
  operation->mutable_arithmetic()->set_kind(kind);
  operation->mutable_arithmetic()->set_scalar(scalar);
  return Result(operation, inputs.begin()->width, inputs.begin()->rows);
}

Value ProgramBuilder::Add(std::string_view name, Value a, Value b) {
  return AddArithmetic(name, {a, b}, v1::Arithmetic::KIND_ADD, 0);
}

Value ProgramBuilder::Scale(std::string_view name, Value x, float factor) {
  return AddArithmetic(name, {x}, v1::Arithmetic::KIND_SCALE, factor);
}

Value ProgramBuilder::SoftCap(std::string_view name, Value x, float cap) {
  return AddArithmetic(name, {x}, v1::Arithmetic::KIND_SOFT_CAP, cap);
}

Value ProgramBuilder::Multiply(std::string_view name, Value a, Value b) {
  return AddArithmetic(name, {a, b}, v1::Arithmetic::KIND_MULTIPLY, 0);
}

Value ProgramBuilder::MultiplyByColumn(std::string_view name, Value x, Value factor) {
  v1::Operation* operation = NewOperation(std::string(name) + "_column", {factor});
  v1::Gather* gather = operation->mutable_gather();
  gather->set_kind(v1::Gather::KIND_CONCATENATE);
  gather->set_groups(x.width);
  gather->add_repeated_inputs(0);
  return Multiply(name, x, Result(operation, x.width, x.rows));
}

Value ProgramBuilder::Clamp(std::string_view name, Value x, float limit) {
  return AddArithmetic(name, {x}, v1::Arithmetic::KIND_CLAMP, limit);
}

v1::InputForm ProgramBuilder::FormOf(WeightRef matrix) const {
  return InfoOf(weights_.EncodingOf(matrix)).takes_a8 ? options_.input_form : v1::INPUT_FORM_F32;
}

Value ProgramBuilder::Moe(std::string_view name, Value x, Value logits, const ExpertsSpec& spec,
                          const ExpertsWeights& weights) {
  v1::Operation* operation = NewOperation(name, {x, logits});
  v1::Moe* moe = operation->mutable_moe();
  moe->set_experts(spec.experts);
  moe->set_experts_per_row(spec.per_row);
  moe->set_score(spec.score);
  moe->set_renormalize(spec.renormalize);
  moe->set_scale(spec.scale);
  moe->set_groups(spec.groups);
  moe->set_groups_per_row(spec.groups_per_row);
  moe->set_group_score(spec.group_score);
  moe->set_threshold(spec.threshold);
  moe->set_function(spec.function);
  moe->set_limit(spec.limit);
  moe->set_offset(spec.offset);
  moe->set_sum_groups(std::min(kMostGroups, spec.experts));
  moe->mutable_gate()->Add(weights.gate.begin(), weights.gate.end());
  moe->mutable_up()->Add(weights.up.begin(), weights.up.end());
  moe->mutable_down()->Add(weights.down.begin(), weights.down.end());
  if (weights.selection_bias) moe->set_selection_bias(*weights.selection_bias);
  if (weights.gate_bias) moe->set_gate_bias(*weights.gate_bias);
  if (weights.up_bias) moe->set_up_bias(*weights.up_bias);
  if (weights.down_bias) moe->set_down_bias(*weights.down_bias);
  if (weights.expert_scale) moe->set_expert_scale(*weights.expert_scale);

  for (const auto* stack : {&weights.gate, &weights.up, &weights.down}) {
    for (const WeightRef matrix : *stack) weights_.MustBeOne(matrix, "an expert");
  }
  const WeightRef up = weights.up.front();
  const WeightRef gate = weights.gate.empty() ? up : weights.gate.front();
  const WeightRef down = weights.down.front();
  const bool integers = FormOf(up) == v1::INPUT_FORM_A8_32 && FormOf(gate) == v1::INPUT_FORM_A8_32;
  moe->set_input_form(integers ? v1::INPUT_FORM_A8_32 : v1::INPUT_FORM_F32);
  moe->set_inner_form(FormOf(down));
  const std::uint32_t block =
      std::lcm(BlockValues(weights_.EncodingOf(up)), BlockValues(weights_.EncodingOf(gate)));
  for (const std::uint32_t end : SegmentEnds(x.width, block)) moe->add_width_segment_ends(end);
  const std::uint32_t inner = weights_.Columns(down);
  for (const std::uint32_t end : SegmentEnds(inner, BlockValues(weights_.EncodingOf(down)))) {
    moe->add_inner_segment_ends(end);
  }
  return Result(operation, x.width, x.rows);
}

Value ProgramBuilder::Slice(std::string_view name, Value x, std::uint32_t groups,
                            std::uint32_t from, std::uint32_t width) {
  v1::Operation* operation = NewOperation(name, {x});
  v1::Gather* gather = operation->mutable_gather();
  gather->set_kind(v1::Gather::KIND_SLICE);
  gather->set_groups(groups);
  gather->set_from(from);
  return Result(operation, groups * width, x.rows);
}

Value ProgramBuilder::Concatenate(std::string_view name, Value a, Value b, std::uint32_t groups,
                                  bool b_repeated) {
  v1::Operation* operation = NewOperation(name, {a, b});
  v1::Gather* gather = operation->mutable_gather();
  gather->set_kind(v1::Gather::KIND_CONCATENATE);
  gather->set_groups(groups);
  if (b_repeated) gather->add_repeated_inputs(1);
  return Result(operation, a.width + (b_repeated ? groups : 1) * b.width, a.rows);
}

Value ProgramBuilder::GatherOutputs(std::string_view name, Value x) {
  v1::Operation* operation = NewOperation(name, {x});
  operation->mutable_gather()->set_kind(v1::Gather::KIND_OUTPUTS);
  return Result(operation, x.width, v1::ROW_KIND_OUTPUT);
}

Value ProgramBuilder::Permute(std::string_view name, Value x, WeightRef columns) {
  v1::Operation* operation = NewOperation(name, {x});
  operation->mutable_gather()->set_kind(v1::Gather::KIND_PERMUTE);
  operation->mutable_gather()->set_columns(columns);
  return Result(operation, x.width, x.rows);
}

void ProgramBuilder::Sample(std::string_view name, Value logits) {
  NewOperation(name, {logits})->mutable_sample();
}

}  // namespace bramble::model::families
