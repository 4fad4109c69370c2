// ProgramBuilder: what goes along sequences, or makes one row of each.
#include "model/families/builder.h"

namespace bramble::model::families {

void ProgramBuilder::Answer(std::string_view name, Value value, v1::ResultKind kind) {
  v1::Stream* stream = program_.mutable_streams(static_cast<int>(Output(value)));
  stream->set_name(std::string(name));
  stream->set_leaves(true);
  stream->set_result(kind);
}

Value ProgramBuilder::EmbedRows(std::string_view name, WeightRef table, v1::Embed::Source source,
                                v1::RowKind rows, std::uint32_t offset) {
  weights_.MustBeOne(table, "an embedding's table");
  v1::Operation* operation = NewOperation(name, {});
  operation->mutable_embed()->set_table(table);
  operation->mutable_embed()->set_source(source);
  operation->mutable_embed()->set_position_offset(offset);
  return Result(operation, weights_.Columns(table), rows);
}

Value ProgramBuilder::Pool(std::string_view name, Value x, v1::Pool::Kind kind) {
  v1::Operation* operation = NewOperation(name, {x});
  operation->mutable_pool()->set_kind(kind);
  return Result(operation, x.width, v1::ROW_KIND_SEQUENCE);
}

Value ProgramBuilder::GatherOfSequence(std::string_view name, Value x, v1::Gather::Kind kind) {
  v1::Operation* operation = NewOperation(name, {x});
  operation->mutable_gather()->set_kind(kind);
  return Result(operation, x.width, v1::ROW_KIND_SEQUENCE);
}

Value ProgramBuilder::L2Norm(std::string_view name, Value x, float epsilon) {
  v1::Operation* operation = NewOperation(name, {x});
  operation->mutable_norm()->set_kind(v1::Norm::KIND_L2);
  operation->mutable_norm()->set_epsilon(epsilon);
  operation->mutable_norm()->set_groups(1);
  return Result(operation, x.width, x.rows);
}

std::uint32_t ProgramBuilder::NewState(std::uint32_t rows, std::uint32_t width) {
  const auto number = static_cast<std::uint32_t>(program_.caches_size());
  v1::Cache* cache = program_.add_caches();
  cache->set_name("state." + std::to_string(number));
  cache->mutable_state()->set_rows(rows);
  cache->mutable_state()->set_width(width);
  return number;
}

Value ProgramBuilder::Convolution(std::string_view name, Value x, WeightRef taps,
                                  std::optional<WeightRef> bias) {
  v1::Operation* operation = NewOperation(name, {x});
  v1::Convolution* convolution = operation->mutable_convolution();
  convolution->set_kind(v1::Convolution::KIND_CAUSAL);
  convolution->set_weight(taps);
  if (bias) convolution->set_bias(*bias);
  convolution->set_cache(NewState(weights_.Rows(taps) - 1, x.width));
  return Result(operation, x.width, x.rows);
}

Value ProgramBuilder::AddStateSpace(std::string_view name, v1::Recurrence::Kind kind,
                                    std::initializer_list<Value> inputs,
                                    std::initializer_list<WeightRef> weights, std::uint32_t heads,
                                    std::uint32_t state_size, std::uint32_t state_rows,
                                    std::uint32_t state_width) {
  v1::Operation* operation = NewOperation(name, inputs);
  v1::Recurrence* recurrence = operation->mutable_recurrence();
  recurrence->set_kind(kind);
  recurrence->set_heads(heads);
  recurrence->set_state_size(state_size);
  for (const WeightRef weight : weights) recurrence->add_weights(weight);
  recurrence->set_cache(NewState(state_rows, state_width));
  return Result(operation, inputs.begin()->width, inputs.begin()->rows);
}

Value ProgramBuilder::SelectiveScan(std::string_view name, Value x, Value step, Value b, Value c,
                                    WeightRef decay, WeightRef skip, std::uint32_t state_size) {
  return AddStateSpace(name, v1::Recurrence::KIND_SELECTIVE_SCAN, {x, step, b, c}, {decay, skip},
                       x.width, state_size, 1, x.width * state_size);
}

Value ProgramBuilder::StateSpaceDual(std::string_view name, Value x, Value step, Value b, Value c,
                                     WeightRef decay, WeightRef skip, std::uint32_t state_size) {
  return AddStateSpace(name, v1::Recurrence::KIND_STATE_SPACE_DUAL, {x, step, b, c}, {decay, skip},
                       step.width, state_size, 1, x.width * state_size);
}

Value ProgramBuilder::Wkv(std::string_view name, Value k, Value v, WeightRef decay,
                          WeightRef first) {
  return AddStateSpace(name, v1::Recurrence::KIND_WKV, {k, v}, {decay, first}, 0, 0, 3, k.width);
}

}  // namespace bramble::model::families
