#include "proto/program/references.h"

namespace bramble::program {
namespace {

void MapAttentionWeights(v1::Attention& attention, const IndexMap& map) {
  if (attention.has_slopes()) attention.set_slopes(map(attention.slopes()));
  if (attention.has_bucket_bias()) attention.set_bucket_bias(map(attention.bucket_bias()));
  if (attention.has_bucket_ids()) attention.set_bucket_ids(map(attention.bucket_ids()));
  if (attention.has_sinks()) attention.set_sinks(map(attention.sinks()));
}

using Indices = google::protobuf::RepeatedField<std::uint32_t>;

void MapMoeWeights(v1::Moe& moe, const IndexMap& map) {
  for (Indices* stack : {moe.mutable_gate(), moe.mutable_up(), moe.mutable_down()}) {
    for (std::uint32_t& index : *stack) index = map(index);
  }
  if (moe.has_selection_bias()) moe.set_selection_bias(map(moe.selection_bias()));
  if (moe.has_gate_bias()) moe.set_gate_bias(map(moe.gate_bias()));
  if (moe.has_up_bias()) moe.set_up_bias(map(moe.up_bias()));
  if (moe.has_down_bias()) moe.set_down_bias(map(moe.down_bias()));
  if (moe.has_expert_scale()) moe.set_expert_scale(map(moe.expert_scale()));
}

}  // namespace

void MapWeights(v1::Operation& operation, const IndexMap& map) {
  switch (operation.kind_case()) {
    case v1::Operation::kEmbed: {
      v1::Embed& embed = *operation.mutable_embed();
      embed.set_table(map(embed.table()));
      break;
    }
    case v1::Operation::kLinear: {
      v1::Linear& linear = *operation.mutable_linear();
      linear.set_weight(map(linear.weight()));
      if (linear.has_bias()) linear.set_bias(map(linear.bias()));
      break;
    }
    case v1::Operation::kNorm: {
      v1::Norm& norm = *operation.mutable_norm();
      if (norm.has_gain()) norm.set_gain(map(norm.gain()));
      if (norm.has_bias()) norm.set_bias(map(norm.bias()));
      break;
    }
    case v1::Operation::kRope: {
      v1::Rope& rope = *operation.mutable_rope();
      rope.set_frequencies(map(rope.frequencies()));
      if (rope.has_long_frequencies()) rope.set_long_frequencies(map(rope.long_frequencies()));
      break;
    }
    case v1::Operation::kGather: {
      v1::Gather& gather = *operation.mutable_gather();
      if (gather.has_columns()) gather.set_columns(map(gather.columns()));
      break;
    }
    case v1::Operation::kAttention:
      MapAttentionWeights(*operation.mutable_attention(), map);
      break;
    case v1::Operation::kMoe:
      MapMoeWeights(*operation.mutable_moe(), map);
      break;
    case v1::Operation::kConvolution: {
      v1::Convolution& convolution = *operation.mutable_convolution();
      convolution.set_weight(map(convolution.weight()));
      if (convolution.has_bias()) convolution.set_bias(map(convolution.bias()));
      break;
    }
    case v1::Operation::kRecurrence:
      for (std::uint32_t& weight : *operation.mutable_recurrence()->mutable_weights()) {
        weight = map(weight);
      }
      break;
    default:
      break;
  }
}

void MapCaches(v1::Operation& operation, const IndexMap& map) {
  switch (operation.kind_case()) {
    case v1::Operation::kAttention:
      operation.mutable_attention()->set_cache(map(operation.attention().cache()));
      break;
    case v1::Operation::kConvolution:
      operation.mutable_convolution()->set_cache(map(operation.convolution().cache()));
      break;
    case v1::Operation::kRecurrence:
      operation.mutable_recurrence()->set_cache(map(operation.recurrence().cache()));
      break;
    default:
      break;
  }
}

namespace {

// A visit is a map of a copy that changes nothing: the fields are listed once.
IndexMap Visiting(const IndexVisit& visit) {
  return [&visit](std::uint32_t index) {
    visit(index);
    return index;
  };
}

}  // namespace

void VisitWeights(const v1::Operation& operation, const IndexVisit& visit) {
  v1::Operation copy = operation;
  MapWeights(copy, Visiting(visit));
}

void VisitCaches(const v1::Operation& operation, const IndexVisit& visit) {
  v1::Operation copy = operation;
  MapCaches(copy, Visiting(visit));
}

}  // namespace bramble::program
