#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "bramble/v1/program.pb.h"
#include "common/status.h"

namespace bramble::program {

// How the members of a group share blocks that each of them runs.
struct SliceOptions {
  // How much each member takes, in any unit: at least two, not all 0.
  std::vector<std::uint32_t> shares;
  // A product with fewer weights is made by every member: meeting would take longer.
  std::uint64_t smallest_product = std::uint64_t{1} << 17U;
};

// The SHA-256 of rows first .. first + count - 1 of a weight (of its outermost dimension), whose
// bytes will be asked for by this hash.
using HashOfRows = std::function<Result<std::string>(const v1::Weight& weight, std::uint64_t first,
                                                     std::uint64_t count)>;

// The program of one member. Matrices are cut by their outputs, attention by key-value heads, and
// what lies between them with them; the whole of a value is gathered (`Meet`) where something needs
// it. So every number is computed as in `program`, by one member or by several, and no bit differs.
// Member 0 draws and reports; it also looks up what large tables hold.
//
// Whole as before, on every member: mixtures of experts, convolutions, recurrences, what reads
// relative position buckets, and what has too few columns to be shared. A member whose share is too
// small for a part of something has none of it.
//
// Requires a checked program; the result passes CheckProgram. Fails as `hash` does. Pure; any
// thread.
Result<v1::Program> MakeSlice(const v1::Program& program, const SliceOptions& options,
                              std::uint32_t member, const HashOfRows& hash);

}  // namespace bramble::program
