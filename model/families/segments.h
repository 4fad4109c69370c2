#pragma once

#include <cstdint>
#include <vector>

namespace bramble::model::families {

// Where the sum over the inputs of a matrix is cut (docs/arithmetic.md): the rising ends of 1 to 8
// segments, the last one `inputs`, the others multiples of lcm(block_values, 32). block_values > 0.

// The rule for most matrices: S = min(8, n) segments of n units, segment s ending at unit floor((s
// + 1) * n / S). A rest that is no whole unit (small float models) counts as one more.
std::vector<std::uint32_t> SegmentEnds(std::uint32_t inputs, std::uint32_t block_values);

// The rule for an attention's output matrix, whose input is cut among owners of key-value heads: S
// is the largest divisor of `kv_heads` up to 8 that leaves whole units.
std::vector<std::uint32_t> HeadSegmentEnds(std::uint32_t inputs, std::uint32_t block_values,
                                           std::uint32_t kv_heads);

}  // namespace bramble::model::families
