#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "bramble/v1/program.pb.h"

namespace bramble::program {

// In what form a worker keeps a weight.
enum class HeldForm : std::uint8_t {
  kMatrix,  // packed for products with `input_form`, matrix by matrix where there are several; rows
            // can be taken back out of it
  kRows,    // encoded, as in the file: a table that no linear of the worker uses
  kVector,  // F32 numbers
};

// A weight of a program as a worker holds it in memory. One weight may be held in two forms, if its
// operations ask for products with both forms of input or with different segments.
struct HeldWeight {
  HeldForm form = HeldForm::kVector;
  std::uint32_t weight = 0;                               // index into Program.weights
  v1::InputForm input_form = v1::INPUT_FORM_UNSPECIFIED;  // kMatrix
  std::vector<std::uint32_t> segment_ends;                // kMatrix
};

// The items of a mixture of experts, in the order of its lists of weights; no gate: empty.
struct HeldStacks {
  std::vector<std::uint32_t> gate;
  std::vector<std::uint32_t> up;
  std::vector<std::uint32_t> down;
};

// Where each use of a weight finds it.
struct HeldWeights {
  std::vector<HeldWeight> items;
  // The item of a linear's weight, of a table: [block - first_block][operation]; kNone (schedule.h)
  // for other operations.
  std::vector<std::vector<std::uint32_t>> matrix_of;
  // Of (block - first_block, operation), if it is a mixture of experts.
  std::map<std::pair<std::uint32_t, std::uint32_t>, HeldStacks> stacks_of;
  // The item of a vector: [weight], or kNone.
  std::vector<std::uint32_t> vector_of;
};

// What the blocks first_block .. first_block + block_count - 1 hold. A table that a linear of these
// blocks multiplies with is held once. Requires a checked program. Pure; any thread.
HeldWeights HoldWeights(const v1::Program& program, std::uint32_t first_block,
                        std::uint32_t block_count);

// Bytes of memory of an item, rounded up to a multiple of 64; at least what any kernel's packed
// form takes. A sum beyond 2^62 is given as 2^62.
std::uint64_t HeldBytes(const v1::Program& program, const HeldWeight& item);
std::uint64_t HeldBytes(const v1::Program& program, const HeldWeights& held);

}  // namespace bramble::program
