#pragma once

#include <string>

#include "bramble/v1/program.pb.h"
#include "common/status.h"

namespace bramble::program {

// An operation in its place. The check of the block has already verified that `op`'s inputs and
// outputs are indices into `block.values`, and every weight, cache and stream of `program` by
// itself.
struct Site {
  const v1::Program& program;
  const v1::Block& block;
  const v1::Operation& op;

  const v1::Value& in(int i) const { return block.values(static_cast<int>(op.inputs(i))); }
  const v1::Value& out(int i) const { return block.values(static_cast<int>(op.outputs(i))); }
};

// What one kind of operation requires of its operands, weights and attributes.
struct OperationRow {
  v1::Operation::KindCase kind;
  const char* name;  // as in program.proto
  // Pure. The message has no path yet: the caller adds it.
  Status (*check)(const Site& site);
};

// The row of a kind; nullptr for a kind that is not in the table (and so is refused).
const OperationRow* FindOperation(v1::Operation::KindCase kind);

}  // namespace bramble::program
