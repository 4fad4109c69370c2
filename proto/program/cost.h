#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "bramble/v1/program.pb.h"

namespace bramble::program {

// What a planner needs to know of one block.
struct BlockCost {
  std::string name;
  // The distinct weights that the block's operations use: indices into Program.weights, rising. A
  // worker holds a weight that two of its blocks use once.
  std::vector<std::uint32_t> weights;
  // Encoded bytes that a step of one row reads: all of each linear's weight, as many experts of a
  // mixture as a row chooses, one row of each table, every vector but a mixture's.
  std::map<v1::Encoding, std::uint64_t> read_bytes;
  // Multiplications with weights for each row of a token or a source, and for each other row (of
  // outputs, of sequences).
  std::uint64_t token_multiplies = 0;
  std::uint64_t output_multiplies = 0;
  // Key and value bytes of a position, and attention's multiplications for each row and each
  // position that it sees.
  std::uint64_t cache_bytes_per_position = 0;
  std::uint64_t attention_multiplies = 0;
  // Bytes that would travel if the next block were on another worker, for each row: what this block
  // or an earlier one writes and a later one reads. Also counts what leaves the program.
  std::uint64_t crossing_bytes_per_token = 0;
  std::uint64_t crossing_bytes_per_output = 0;
};

// One for each block, in order. Requires a checked program. Pure; any thread.
std::vector<BlockCost> BlockCosts(const v1::Program& program);

// Memory for the weights of the blocks first_block .. first_block + block_count - 1 on one worker:
// the weight_bytes that Memory() gives for their shard.
std::uint64_t PackedBytes(const v1::Program& program, std::uint32_t first_block,
                          std::uint32_t block_count);

}  // namespace bramble::program
