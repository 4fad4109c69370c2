#pragma once

#include <cstdint>
#include <vector>

#include "bramble/v1/program.pb.h"
#include "bramble/v1/run.pb.h"

namespace bramble::program {

// What a worker that runs a program allocates for it, in bytes. worker/exec/ takes its sizes from
// the same functions, so that this is the truth and not an estimate. A sum beyond 2^62 is given as
// 2^62.
struct MemoryNeed {
  std::uint64_t weight_bytes =
      0;  // packed for the kernels: about the encoded bytes, in whole panels of 16 outputs
  std::uint64_t cache_bytes = 0;  // all pages of all caches, and the states of all sequences
  std::uint64_t buffer_bytes =
      0;  // the arena of a step, scratch, and what is kept of each sequence
  std::uint64_t total = 0;
};

// Requires a checked program and checked limits. Pure; any thread.
MemoryNeed Memory(const v1::Program& program, const v1::Limits& limits);

// Keys and values of one position in one cache; of a state 0. Requires a cache of a checked
// program.
std::uint64_t CacheBytesPerPosition(const v1::Cache& cache);

// Where the keys and values of a page lie: every page of a program holds `page_positions` positions
// of all its caches, one cache behind the other.
struct PageLayout {
  std::uint64_t page_bytes = 0;             // a multiple of 64
  std::vector<std::uint64_t> cache_offset;  // [cache], multiples of 64
};
PageLayout LayOutPages(const v1::Program& program, const v1::Limits& limits);

// Where a sequence's states lie: one cache behind the other; the sequences' one behind the other,
// behind all pages.
struct StateLayout {
  std::uint64_t sequence_bytes = 0;         // a multiple of 64
  std::vector<std::uint64_t> cache_offset;  // [cache], multiples of 64
};
StateLayout LayOutStates(const v1::Program& program);

// All sequences' states.
std::uint64_t StateBytes(const v1::Program& program, const v1::Limits& limits);

// Threads for which there is scratch; a worker uses no more.
constexpr std::uint64_t kMaxThreads = 64;

// Bytes of scratch of one thread (attention, mixtures of experts).
std::uint64_t ThreadScratchBytes(const v1::Program& program, const v1::Limits& limits);

// How many outputs are sampled at the same time, and the scratch of each.
std::uint64_t SamplerCount(const v1::Program& program, const v1::Limits& limits);
std::uint64_t SamplerBytes(const v1::Program& program);

// Pages that a sequence of the full context has.
std::uint64_t PagesPerSequence(const v1::Program& program, const v1::Limits& limits);

// Kept of each sequence: its ids and its page table.
std::uint64_t SequenceBytes(const v1::Program& program, const v1::Limits& limits);

// Kept of each row of a step, of tokens, of sources and of outputs: where it belongs.
constexpr std::uint64_t kRowBytes = 32;

}  // namespace bramble::program
