#include "proto/program/traits.h"

namespace bramble::program {
namespace {

bool GathersSequence(const v1::Operation& op) {
  return op.has_gather() && (op.gather().kind() == v1::Gather::KIND_FIRST ||
                             op.gather().kind() == v1::Gather::KIND_LAST);
}

void AddOperation(const v1::Program& program, const v1::Operation& op, Traits& traits) {
  if (op.has_attention()) {
    const bool cross = program.caches(static_cast<int>(op.attention().cache())).key_value().cross();
    if (cross) traits.source = true;
    if (!cross && op.attention().sees() == v1::Attention::SEES_BIDIRECTIONAL) {
      traits.whole_sequences = true;
    }
  }
  if (op.has_pool() || GathersSequence(op)) traits.whole_sequences = true;
  if (op.has_convolution() || op.has_recurrence()) traits.states = true;
  if (op.has_sample()) traits.draws = true;
  if (op.has_meet()) traits.meets = true;
}

}  // namespace

Traits TraitsOf(const v1::Program& program) {
  Traits traits;
  for (const v1::Stream& stream : program.streams()) {
    if (stream.rows() == v1::ROW_KIND_SOURCE) traits.source = true;
    if (stream.rows() == v1::ROW_KIND_SEQUENCE) traits.whole_sequences = true;
  }
  for (const v1::Block& block : program.blocks()) {
    for (const v1::Value& value : block.values()) {
      if (value.rows() == v1::ROW_KIND_SOURCE) traits.source = true;
      if (value.rows() == v1::ROW_KIND_SEQUENCE) traits.whole_sequences = true;
    }
    for (const v1::Operation& op : block.operations()) AddOperation(program, op, traits);
  }
  return traits;
}

}  // namespace bramble::program
