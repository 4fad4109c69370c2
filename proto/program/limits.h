#pragma once

#include <cstddef>
#include <cstdint>

// How large a program may be before it is refused. They bound what checking, planning and printing
// cost (all are close to linear in these counts), and keep every product of sizes that follows
// within 64 bits.
namespace bramble::program {

constexpr std::uint32_t kVersion = 1;  // of the instruction set

constexpr int kMaxBlocks = 4096;
constexpr int kMaxOperations = 4096;        // of one block
constexpr int kMaxValues = 8192;            // of one block
constexpr std::size_t kMaxTotal = 1 << 17;  // operations, and likewise values, of the whole program
constexpr int kMaxStreams = 8192;
constexpr int kMaxWeights = 1 << 17;
constexpr int kMaxCaches = 8192;
constexpr int kMaxOperands = 64;       // inputs or outputs of one operation, and ports of one block
constexpr std::size_t kMaxName = 256;  // bytes

// Numbers of a row; also positions and ids. Positions stay below it so that angles are exact
// (docs/arithmetic.md).
constexpr std::uint32_t kMaxWidth = 1U << 24;
constexpr std::uint64_t kMaxWeightBytes = std::uint64_t{1} << 40;  // of one weight
constexpr std::uint64_t kMaxTotalBytes = std::uint64_t{1} << 48;   // of all weights
constexpr std::uint64_t kMaxInlineBytes = 1U << 20;                // of Weight.data
constexpr std::size_t kHashBytes = 32;
constexpr int kMaxSegments = 8;
constexpr std::uint32_t kMaxMembers = 64;    // that share blocks by slices
constexpr std::uint32_t kMaxExperts = 4096;  // of one mixture
constexpr std::uint32_t kMaxExpertsPerRow = 64;
constexpr std::uint64_t kMaxTaps = 64;         // of a convolution along a sequence
constexpr std::uint64_t kMaxStateSize = 1024;  // numbers of a recurrence's state for each of its x

// Of Limits, so that a plan's memory is counted without overflow. A larger plan is refused.
constexpr std::uint32_t kMaxStepRows = 1U << 16;
constexpr std::uint32_t kMaxSequences = 1U << 16;
constexpr std::uint32_t kMaxPages = 1U << 24;
constexpr std::uint32_t kMaxPagePositions = 1U << 16;

}  // namespace bramble::program
