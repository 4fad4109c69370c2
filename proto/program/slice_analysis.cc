#include "proto/program/slice_analysis.h"

#include <numeric>

#include "proto/program/meet.h"

namespace bramble::program {
namespace {

constexpr std::uint32_t kA8Columns = 32;

}  // namespace

SliceAnalysis::SliceAnalysis(const v1::Program& program, const v1::Block& block,
                             std::uint64_t smallest_product)
    : program_(program), block_(block), smallest_product_(smallest_product) {
  const auto count = static_cast<std::size_t>(block.values_size());
  parent_.resize(count);
  std::iota(parent_.begin(), parent_.end(), 0U);
  classes_.resize(count);
  readers_.resize(count);
  for (std::size_t i = 0; i < count; ++i) {
    classes_[i].pieces = block.values(static_cast<int>(i)).width();
  }
  for (const v1::Port& port : block.inputs()) ClassOf(port.value()).whole = true;
  for (const v1::Operation& op : block.operations()) Add(op);
  for (const v1::Port& port : block.outputs()) {
    readers_[port.value()].f32 = readers_[port.value()].other = true;
  }
  // What travels in groups of 32 columns is cut between them.
  for (std::uint32_t i = 0; i < count; ++i) {
    if (readers_[i].a8 && !readers_[i].f32)
      Allow(i, block.values(static_cast<int>(i)).width() / kA8Columns);
  }
}

void SliceAnalysis::Add(const v1::Operation& op) {
  switch (op.kind_case()) {
    case v1::Operation::kLinear:
      ReadWhole(op);
      ClassOf(op.outputs(0)).weights += WeightsOf(op);
      return;
    case v1::Operation::kActivation:
    case v1::Operation::kGate:
    case v1::Operation::kArithmetic:
      return ReadInClass(op);
    case v1::Operation::kRope:
      ReadInClass(op);
      return Allow(op.outputs(0), op.rope().heads());
    case v1::Operation::kNorm:
      if (op.norm().groups() == 1) break;
      ReadInClass(op);
      return Allow(op.outputs(0), op.norm().groups());
    case v1::Operation::kAttention:
      return AddAttention(op);
    default:
      break;
  }
  ReadWhole(op);
  for (const std::uint32_t output : op.outputs()) ClassOf(output).whole = true;
}

void SliceAnalysis::AddAttention(const v1::Operation& op) {
  const v1::Attention& attention = op.attention();
  const v1::Cache& cache = program_.caches(static_cast<int>(attention.cache()));
  ReadInClass(op);
  Allow(op.outputs(0), cache.key_value().kv_heads());
  // A table of buckets has a column a head; a cache that another attention fills is cut as that is.
  if (attention.has_bucket_bias()) ClassOf(op.outputs(0)).whole = true;
  for (const v1::Operation& other : block_.operations()) {
    if (!other.has_attention() || other.attention().cache() != attention.cache()) continue;
    Join(op.outputs(0), other.outputs(0));
  }
}

void SliceAnalysis::ReadWhole(const v1::Operation& op) {
  for (int i = 0; i < op.inputs_size(); ++i) {
    Readers& readers = readers_[op.inputs(i)];
    (TakesA8(op, i) ? readers.a8 : readers.f32) = true;
    (op.has_sample() ? readers.sample : readers.other) = true;
  }
}

void SliceAnalysis::ReadInClass(const v1::Operation& op) {
  for (const std::uint32_t input : op.inputs()) {
    Join(op.outputs(0), input);
    readers_[input].of_class = true;
  }
}

bool SliceAnalysis::TravelsAsA8(std::uint32_t value) const {
  const Readers& readers = readers_[value];
  return readers.a8 && !readers.f32 && (!readers.of_class || Pieces(value) > 1);
}

bool SliceAnalysis::IsDrawnFrom(std::uint32_t value) const {
  const Readers& readers = readers_[value];
  return readers.sample && !readers.other && (!readers.of_class || Pieces(value) > 1);
}

std::uint32_t SliceAnalysis::Root(std::uint32_t value) const {
  while (parent_[value] != value) value = parent_[value];
  return value;
}

void SliceAnalysis::Join(std::uint32_t a, std::uint32_t b) {
  const std::uint32_t to = Root(a);
  const std::uint32_t from = Root(b);
  if (to == from) return;
  parent_[from] = to;
  Class& joined = classes_[to];
  joined.pieces = std::gcd(joined.pieces, classes_[from].pieces);
  joined.weights += classes_[from].weights;
  joined.whole = joined.whole || classes_[from].whole;
}

void SliceAnalysis::Allow(std::uint32_t value, std::uint64_t pieces) {
  Class& c = ClassOf(value);
  c.pieces = std::gcd(c.pieces, pieces);
}

std::uint64_t SliceAnalysis::WeightsOf(const v1::Operation& linear) const {
  const v1::Weight& weight = program_.weights(static_cast<int>(linear.linear().weight()));
  return weight.shape(0) * weight.shape(1);
}

std::uint32_t SliceAnalysis::Pieces(std::uint32_t value) const {
  const Class& c = classes_[Root(value)];
  if (c.whole || c.weights < smallest_product_) return 1;
  return static_cast<std::uint32_t>(c.pieces);
}

std::uint32_t SliceAnalysis::PiecesOfProduct(const v1::Operation& linear) const {
  const std::uint32_t value = linear.outputs(0);
  if (Pieces(value) > 1 || WeightsOf(linear) < smallest_product_) return 1;
  const std::uint32_t width = block_.values(static_cast<int>(value)).width();
  return width % kA8Columns == 0 ? width / kA8Columns : width;
}

}  // namespace bramble::program
