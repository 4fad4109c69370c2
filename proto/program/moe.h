#pragma once

#include <cstdint>

#include "bramble/v1/program.pb.h"
#include "bramble/v1/run.pb.h"
#include "proto/program/shapes.h"

namespace bramble::program {

// The row of a mixture of experts in the table of operations.
Status CheckMoe(const Site& site);

// Numbers of a checked mixture of experts that its message does not name.
struct MoeShape {
  std::uint64_t width = 0;  // of a row
  std::uint64_t inner = 0;  // of an expert's activations
};
MoeShape ShapeOf(const v1::Program& program, const v1::Moe& moe);

// How a worker goes about it: routes each row, sorts the pairs of (row, expert) by expert
// ("slots"), expands (gate, up and activation) and sums (down). What follows are the sizes that the
// count of memory and the executor share.

// Rows of one expert that are multiplied at once, at most.
constexpr std::uint64_t kExpertRows = 128;
// Floats of one buffer of the scratch: outputs x rows of one call of a kernel.
constexpr std::uint64_t kExpertFloats = 4096;

// One expert that some row has chosen.
struct ChosenExpert {
  std::uint32_t expert;
  std::uint32_t first_slot;
  std::uint32_t slots;
  std::uint32_t first_item;  // of the work of expanding
};
// A row that goes through the expert.
struct ExpertSlot {
  std::uint32_t row;
  float weight;
};
// Before the chosen experts, which come before the slots.
struct ExpertPlanHead {
  std::uint32_t experts;         // that were chosen
  std::uint32_t items;           // of expanding
  std::uint32_t gathered_slots;  // of experts whose rows are copied side by side
};

// Bytes for each row of: the choices; the plan (head, chosen experts, slots).
std::uint64_t ChoicesRowBytes(const v1::Moe& moe);
std::uint64_t ExpertPlanRowBytes(const v1::Moe& moe);

// Floats of scratch of one thread, for up to `rows` rows.
std::uint64_t MoeScratchFloats(const v1::Moe& moe, std::uint64_t rows);

}  // namespace bramble::program
