#include "proto/program/shapes.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "proto/program/limits.h"
#include "proto/program/meet.h"
#include "proto/program/moe.h"
#include "proto/program/sequence_shapes.h"
#include "proto/program/shape_rules.h"
#include "proto/program/weights.h"

namespace bramble::program {
namespace {

Status CheckEmbed(const Site& site) {
  const v1::Embed& embed = site.op.embed();
  RETURN_IF_ERROR(Operands(site, 0, 1));
  if (site.out(0).rows() != v1::ROW_KIND_SOURCE) {
    RETURN_IF_ERROR(Rows("the output", site.out(0), v1::ROW_KIND_TOKEN));
  }
  ASSIGN_OR_RETURN(const v1::Weight* table, WeightAt(site, "table", embed.table()));
  if (table->shape_size() != 2) {
    return Invalid("table has the shape ", ShapeText(*table), ", needs two dimensions");
  }
  RETURN_IF_ERROR(Width("the output", site.out(0), table->shape(1)));
  if (embed.replaceable()) return NotRun("a table whose rows may be replaced");
  std::uint64_t entries = 0;
  switch (embed.source()) {
    case v1::Embed::SOURCE_ID:
      if (site.program.vocabulary_size() == 0) return Invalid("the program takes no ids");
      if (embed.position_offset() != 0) return Invalid("position_offset without positions");
      entries = site.program.vocabulary_size();
      break;
    case v1::Embed::SOURCE_POSITION:
      entries = std::uint64_t{site.program.context_length()} + embed.position_offset();
      break;
    case v1::Embed::SOURCE_TYPE:
      // A type beyond the table is an error of the step, not of the program.
      RETURN_IF_ERROR(Rows("the output", site.out(0), v1::ROW_KIND_TOKEN));
      if (embed.position_offset() != 0) return Invalid("position_offset without positions");
      entries = 1;
      break;
    default:
      return Invalid("source ", static_cast<int>(embed.source()), " does not exist");
  }
  if (table->shape(0) < entries) {
    return Invalid("table has ", table->shape(0), " entries, needs ", entries);
  }
  return {};
}

Status CheckLinear(const Site& site) {
  const v1::Linear& linear = site.op.linear();
  RETURN_IF_ERROR(Operands(site, 1, 1));
  RETURN_IF_ERROR(Rows("the output", site.out(0), site.in(0).rows()));
  if (linear.has_integer()) return NotRun("integer arithmetic");
  ASSIGN_OR_RETURN(const v1::Weight* weight, WeightAt(site, "weight", linear.weight()));
  if (weight->shape_size() != 2) {
    return Invalid("weight has the shape ", ShapeText(*weight), ", needs two dimensions");
  }
  RETURN_IF_ERROR(Width("the input", site.in(0), weight->shape(1)));
  const std::uint32_t outputs = site.out(0).width();
  if (outputs > weight->shape(0)) {
    return Invalid("the output is ", outputs, " wide, the weight has ", weight->shape(0), " rows");
  }
  if (linear.has_bias()) RETURN_IF_ERROR(Vector(site, "bias", linear.bias(), outputs));
  RETURN_IF_ERROR(InputFormFits(linear.input_form(), *weight));
  return Segments("segment_ends", linear.segment_ends(), *weight);
}

Status CheckNorm(const Site& site) {
  const v1::Norm& norm = site.op.norm();
  RETURN_IF_ERROR(SameShapes(site, 1));
  if (norm.kind() == v1::Norm::KIND_UNSPECIFIED || !v1::Norm::Kind_IsValid(norm.kind())) {
    return Invalid("kind ", static_cast<int>(norm.kind()), " does not exist");
  }
  RETURN_IF_ERROR(Positive("epsilon", norm.epsilon()));
  if (norm.across_rows()) return NotRun("a norm across rows");
  const std::uint32_t width = site.out(0).width();
  if (norm.groups() == 0 || width % norm.groups() != 0) {
    return Invalid("a width of ", width, " is not ", norm.groups(), " equal groups");
  }
  // A vector as wide as the row has numbers for each group; otherwise the groups share it.
  const auto check = [&](const char* what, std::uint32_t index) -> Status {
    ASSIGN_OR_RETURN(const v1::Weight* weight, WeightAt(site, what, index));
    const bool whole = weight->shape_size() == 1 && weight->shape(0) == width;
    return Vector(site, what, index, whole ? width : width / norm.groups());
  };
  if (norm.has_gain()) RETURN_IF_ERROR(check("gain", norm.gain()));
  if (norm.has_bias()) RETURN_IF_ERROR(check("bias", norm.bias()));
  return {};
}

// A vector for all long sequences, or a row for each length.
Status LongFrequencies(const Site& site, const v1::Rope& rope) {
  ASSIGN_OR_RETURN(const v1::Weight* weight,
                   WeightAt(site, "long_frequencies", rope.long_frequencies()));
  if (weight->shape_size() == 2 && weight->shape(1) == rope.dims() / 2 &&
      weight->encoding() == v1::ENCODING_F32) {
    return {};
  }
  return Vector(site, "long_frequencies", rope.long_frequencies(), rope.dims() / 2);
}

Status CheckRope(const Site& site) {
  const v1::Rope& rope = site.op.rope();
  RETURN_IF_ERROR(SameShapes(site, 1));
  if (site.out(0).rows() != v1::ROW_KIND_SOURCE) {
    RETURN_IF_ERROR(Rows("the output", site.out(0), v1::ROW_KIND_TOKEN));
  }
  if (rope.style() != v1::Rope::STYLE_HALF && rope.style() != v1::Rope::STYLE_PAIR) {
    return Invalid("style ", static_cast<int>(rope.style()), " does not exist");
  }
  if (rope.heads() == 0) return Invalid("has no heads");
  RETURN_IF_ERROR(Width("the output", site.out(0), std::uint64_t{rope.heads()} * rope.head_dim()));
  if (rope.dims() == 0 || rope.dims() % 2 != 0 || rope.dims() > rope.head_dim()) {
    return Invalid("dims is ", rope.dims(), ", must be even and 2 to head_dim ", rope.head_dim());
  }
  if (rope.first() > rope.head_dim() - rope.dims()) {
    return Invalid("first is ", rope.first(), ", at most ", rope.head_dim() - rope.dims(),
                   " leaves room for ", rope.dims(), " dims");
  }
  RETURN_IF_ERROR(Positive("magnitude", rope.magnitude()));
  if (rope.has_long_frequencies() != (rope.long_from() != 0)) {
    return Invalid("long_frequencies and long_from need each other");
  }
  if (rope.has_long_frequencies()) {
    RETURN_IF_ERROR(LongFrequencies(site, rope));
  }
  if (rope.sections_size() != 0) return NotRun("several positions (sections)");
  return Vector(site, "frequencies", rope.frequencies(), rope.dims() / 2);
}

Status CheckActivation(const Site& site) {
  RETURN_IF_ERROR(SameShapes(site, 1));
  return KnownFunction(site.op.activation().function());
}

Status CheckGate(const Site& site) {
  RETURN_IF_ERROR(SameShapes(site, 2));
  RETURN_IF_ERROR(AtLeastZero("limit", site.op.gate().limit()));
  if (!std::isfinite(site.op.gate().offset())) return Invalid("offset is not finite");
  return KnownFunction(site.op.gate().function());
}

Status CheckArithmetic(const Site& site) {
  const v1::Arithmetic& arithmetic = site.op.arithmetic();
  if (arithmetic.has_integer()) return NotRun("integer arithmetic");
  switch (arithmetic.kind()) {
    case v1::Arithmetic::KIND_ADD:
    case v1::Arithmetic::KIND_MULTIPLY:
      return SameShapes(site, 2);
    case v1::Arithmetic::KIND_SCALE:
      if (!std::isfinite(arithmetic.scalar())) return Invalid("scalar is not finite");
      return SameShapes(site, 1);
    case v1::Arithmetic::KIND_SOFT_CAP:
    case v1::Arithmetic::KIND_CLAMP:
      RETURN_IF_ERROR(Positive("scalar", arithmetic.scalar()));
      return SameShapes(site, 1);
    default:
      return Invalid("kind ", static_cast<int>(arithmetic.kind()), " does not exist");
  }
}

// The width of a value's groups.
Result<std::uint64_t> GroupWidth(const char* what, const v1::Value& value, std::uint64_t groups) {
  if (value.width() % groups == 0) return value.width() / groups;
  return Invalid(what, " of ", value.width(), " is not ", groups, " equal groups");
}

Status CheckConcatenate(const Site& site) {
  const v1::Gather& gather = site.op.gather();
  const std::uint64_t groups = std::max(1U, gather.groups());
  if (site.op.inputs_size() == 0) return Invalid("has no inputs");
  RETURN_IF_ERROR(Count("outputs", site.op.outputs_size(), 1));
  std::uint64_t width = 0;  // of a group
  int repeated = 0;         // inputs seen so far
  for (int i = 0; i < site.op.inputs_size(); ++i) {
    RETURN_IF_ERROR(Rows("an input", site.in(i), site.out(0).rows()));
    if (repeated < gather.repeated_inputs_size() &&
        gather.repeated_inputs(repeated) == static_cast<std::uint32_t>(i)) {
      ++repeated;
      width += site.in(i).width();
      continue;
    }
    ASSIGN_OR_RETURN(const std::uint64_t part, GroupWidth("an input", site.in(i), groups));
    width += part;
  }
  if (repeated != gather.repeated_inputs_size()) {
    return Invalid("repeated_inputs are not rising places of its ", site.op.inputs_size(),
                   " inputs");
  }
  return Width("the output", site.out(0), width * groups);
}

Status CheckSlice(const Site& site) {
  const std::uint64_t groups = std::max(1U, site.op.gather().groups());
  RETURN_IF_ERROR(Operands(site, 1, 1));
  RETURN_IF_ERROR(Rows("the output", site.out(0), site.in(0).rows()));
  ASSIGN_OR_RETURN(const std::uint64_t from, GroupWidth("the input", site.in(0), groups));
  ASSIGN_OR_RETURN(const std::uint64_t to, GroupWidth("the output", site.out(0), groups));
  const std::uint64_t end = std::uint64_t{site.op.gather().from()} + to;
  if (end <= from) return {};
  return Invalid("the slice ends at column ", end, ", the input has ", from);
}

// The values of `columns` are the executor's to check: weights are not here yet.
Status CheckPermute(const Site& site) {
  const v1::Gather& gather = site.op.gather();
  RETURN_IF_ERROR(Operands(site, 1, 1));
  RETURN_IF_ERROR(Rows("the output", site.out(0), site.in(0).rows()));
  if (gather.groups() > 1) return Invalid("groups belong to KIND_SLICE and KIND_CONCATENATE");
  if (!gather.has_columns()) return Invalid("needs columns");
  return Vector(site, "columns", gather.columns(), site.out(0).width());
}

Status CheckGather(const Site& site) {
  const v1::Gather& gather = site.op.gather();
  if (gather.kind() != v1::Gather::KIND_PERMUTE && gather.has_columns()) {
    return Invalid("columns belong to KIND_PERMUTE");
  }
  if (gather.kind() != v1::Gather::KIND_CONCATENATE && gather.repeated_inputs_size() != 0) {
    return Invalid("repeated_inputs belong to KIND_CONCATENATE");
  }
  switch (gather.kind()) {
    case v1::Gather::KIND_OUTPUTS:
      if (gather.groups() > 1) return Invalid("groups belong to KIND_SLICE and KIND_CONCATENATE");
      RETURN_IF_ERROR(Operands(site, 1, 1));
      RETURN_IF_ERROR(Rows("the input", site.in(0), v1::ROW_KIND_TOKEN));
      RETURN_IF_ERROR(Rows("the output", site.out(0), v1::ROW_KIND_OUTPUT));
      return Width("the output", site.out(0), site.in(0).width());
    case v1::Gather::KIND_FIRST:
    case v1::Gather::KIND_LAST:
      RETURN_IF_ERROR(Operands(site, 1, 1));
      RETURN_IF_ERROR(Rows("the input", site.in(0), v1::ROW_KIND_TOKEN));
      RETURN_IF_ERROR(Rows("the output", site.out(0), v1::ROW_KIND_SEQUENCE));
      return Width("the output", site.out(0), site.in(0).width());
    case v1::Gather::KIND_SLICE:
      return CheckSlice(site);
    case v1::Gather::KIND_CONCATENATE:
      return CheckConcatenate(site);
    case v1::Gather::KIND_PERMUTE:
      return CheckPermute(site);
    default:
      break;
  }
  if (gather.kind() != v1::Gather::KIND_UNSPECIFIED && v1::Gather::Kind_IsValid(gather.kind())) {
    return NotRun("gather ", v1::Gather::Kind_Name(gather.kind()));
  }
  return Invalid("kind ", static_cast<int>(gather.kind()), " does not exist");
}

Status CheckSample(const Site& site) {
  RETURN_IF_ERROR(Operands(site, 1, 0));
  RETURN_IF_ERROR(Rows("the input", site.in(0), v1::ROW_KIND_OUTPUT));
  const std::uint32_t vocabulary = site.program.vocabulary_size();
  if (vocabulary == 0) return Invalid("the program has no vocabulary");
  RETURN_IF_ERROR(Width("the input", site.in(0), vocabulary));
  if (site.op.sample().limit() <= vocabulary) return {};
  return Invalid("limit ", site.op.sample().limit(), " is above the vocabulary of ", vocabulary);
}

// What an attention may ask for on paper but not of this version.
Status CheckAttentionIsRun(const v1::Attention& attention, const v1::Cache& cache) {
  if (cache.has_state()) return Invalid("cache is a state, must hold keys and values");
  switch (attention.sees()) {
    case v1::Attention::SEES_CAUSAL:
    case v1::Attention::SEES_BIDIRECTIONAL:
    case v1::Attention::SEES_CROSS:
      break;
    default:
      if (attention.sees() == v1::Attention::SEES_UNSPECIFIED ||
          !v1::Attention::Sees_IsValid(attention.sees())) {
        return Invalid("sees ", static_cast<int>(attention.sees()), ": there is no such");
      }
      return NotRun("attention that ", v1::Attention::Sees_Name(attention.sees()));
  }
  if (attention.span_kind() != v1::SPAN_KIND_UNSPECIFIED || attention.span_length() != 0) {
    return Invalid("span_kind and span_length belong to SEES_SPANS");
  }
  return {};
}

// Whose rows ask, and whose are kept: a cross cache keeps the source's.
Status CheckAttentionRows(const Site& site, bool cross) {
  const v1::Attention& attention = site.op.attention();
  const v1::RowKind kept = cross ? v1::ROW_KIND_SOURCE : v1::ROW_KIND_TOKEN;
  const bool both_ways = attention.sees() == v1::Attention::SEES_BIDIRECTIONAL;
  if (!both_ways && cross != (attention.sees() == v1::Attention::SEES_CROSS)) {
    return Invalid(cross ? "only SEES_CROSS and SEES_BIDIRECTIONAL read a cross cache"
                         : "SEES_CROSS needs a cross cache");
  }
  const v1::RowKind asking = both_ways ? kept : v1::ROW_KIND_TOKEN;
  RETURN_IF_ERROR(Rows("the output", site.out(0), asking));
  RETURN_IF_ERROR(Rows("queries", site.in(0), asking));
  for (int i = 1; i < site.op.inputs_size(); ++i) {
    RETURN_IF_ERROR(Rows("an input", site.in(i), kept));
  }
  if (attention.sees() != v1::Attention::SEES_CROSS) return {};
  // A position of the source is no distance from one of the answer.
  if (attention.window() == 0 && !attention.has_slopes() && !attention.has_bucket_bias()) return {};
  return Invalid("SEES_CROSS has no window, slopes or buckets");
}

// A cache that forgets must not be asked for what it has forgotten.
Status CheckWindow(const v1::Attention& attention, const v1::KeyValueCache& cache) {
  if (cache.window() == 0) return {};
  if (attention.sees() != v1::Attention::SEES_CAUSAL) {
    return Invalid("a cache with a window serves SEES_CAUSAL only");
  }
  if (attention.window() != 0 && attention.window() <= cache.window()) return {};
  return Invalid("window ", attention.window(), " needs more than the cache's ", cache.window());
}

Status CheckBuckets(const Site& site) {
  const v1::Attention& attention = site.op.attention();
  if (attention.has_bucket_bias() != attention.has_bucket_ids()) {
    return Invalid("bucket_bias and bucket_ids need each other");
  }
  if (!attention.has_bucket_bias()) return {};
  ASSIGN_OR_RETURN(const v1::Weight* ids, WeightAt(site, "bucket_ids", attention.bucket_ids()));
  if (ids->shape_size() != 1 || ids->shape(0) % 2 != 1) {
    return Invalid("bucket_ids has the shape ", ShapeText(*ids), ", must be one odd dimension");
  }
  RETURN_IF_ERROR(Vector(site, "bucket_ids", attention.bucket_ids(), ids->shape(0)));
  ASSIGN_OR_RETURN(const v1::Weight* bias, WeightAt(site, "bucket_bias", attention.bucket_bias()));
  return FloatMatrix(site, "bucket_bias", attention.bucket_bias(), bias->shape(0),
                     attention.heads());
}

Status CheckAttention(const Site& site) {
  const v1::Attention& attention = site.op.attention();
  if (attention.cache() >= static_cast<std::uint32_t>(site.program.caches_size())) {
    return Invalid("cache ", attention.cache(), ": the program has ", site.program.caches_size());
  }
  const v1::Cache& cache = site.program.caches(static_cast<int>(attention.cache()));
  RETURN_IF_ERROR(CheckAttentionIsRun(attention, cache));
  const v1::KeyValueCache& key_value = cache.key_value();
  if (attention.heads() == 0 || attention.heads() % key_value.kv_heads() != 0) {
    return Invalid(attention.heads(), " heads are not a multiple of the cache's ",
                   key_value.kv_heads());
  }
  RETURN_IF_ERROR(Operands(site, attention.appends() ? 3 : 1, 1));
  const std::uint64_t heads = attention.heads();
  const std::uint64_t kv_heads = key_value.kv_heads();
  RETURN_IF_ERROR(Width("queries", site.in(0), heads * key_value.key_dim()));
  RETURN_IF_ERROR(Width("the output", site.out(0), heads * key_value.value_dim()));
  RETURN_IF_ERROR(CheckAttentionRows(site, key_value.cross()));
  if (attention.appends()) {
    RETURN_IF_ERROR(Width("keys", site.in(1), kv_heads * key_value.key_dim()));
    RETURN_IF_ERROR(Width("values", site.in(2), kv_heads * key_value.value_dim()));
  }
  RETURN_IF_ERROR(CheckWindow(attention, key_value));
  RETURN_IF_ERROR(Positive("scale", attention.scale()));
  RETURN_IF_ERROR(AtLeastZero("soft_cap", attention.soft_cap()));
  if (attention.has_slopes()) RETURN_IF_ERROR(Vector(site, "slopes", attention.slopes(), heads));
  if (attention.has_sinks()) RETURN_IF_ERROR(Vector(site, "sinks", attention.sinks(), heads));
  return CheckBuckets(site);
}

Status Refuse(const Site& site);

constexpr OperationRow kOperations[] = {
    {v1::Operation::kEmbed, "embed", CheckEmbed},
    {v1::Operation::kLinear, "linear", CheckLinear},
    {v1::Operation::kNorm, "norm", CheckNorm},
    {v1::Operation::kRope, "rope", CheckRope},
    {v1::Operation::kAttention, "attention", CheckAttention},
    {v1::Operation::kActivation, "activation", CheckActivation},
    {v1::Operation::kGate, "gate", CheckGate},
    {v1::Operation::kArithmetic, "arithmetic", CheckArithmetic},
    {v1::Operation::kGather, "gather", CheckGather},
    {v1::Operation::kSample, "sample", CheckSample},
    {v1::Operation::kMoe, "moe", CheckMoe},
    {v1::Operation::kConvolution, "convolution", CheckConvolution},
    {v1::Operation::kPool, "pool", CheckPool},
    {v1::Operation::kResize, "resize", Refuse},
    {v1::Operation::kScan, "scan", Refuse},
    {v1::Operation::kRecurrence, "recurrence", CheckRecurrence},
    {v1::Operation::kMeet, "meet", CheckMeet},
};

Status Refuse(const Site& site) {
  return NotRun("the operation ", FindOperation(site.op.kind_case())->name);
}

}  // namespace

const OperationRow* FindOperation(v1::Operation::KindCase kind) {
  for (const OperationRow& row : kOperations) {
    if (row.kind == kind) return &row;
  }
  return nullptr;
}

}  // namespace bramble::program
