#pragma once

#include <cstdint>

#include "bramble/v1/program.pb.h"

namespace bramble::program {

// The part of `program` that holds blocks first .. first + count - 1: with only the streams,
// weights and caches that it needs, in their old order, renumbered. A stream that earlier blocks
// (or the outside) write and this part or a later one reads `enters`; one that later blocks (or the
// outside) read `leaves`. So what leaves a part is, in the same order, what enters the part after
// it. Requires a checked program and a range within it; the result passes CheckProgram.
v1::Program ExtractShard(const v1::Program& program, std::uint32_t first_block,
                         std::uint32_t block_count);

}  // namespace bramble::program
