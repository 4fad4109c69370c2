// Softmax attention of one query row over one key-value head of a paged cache.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/encodings/encoding.h"
#include "kernels/table.h"

namespace bramble::kernels {

// Positions are summed in chunks of this many, at multiples of it, whatever the pages or the
// window.
inline constexpr std::size_t kAttentionChunk = 256;

struct AttentionArgs {
  // `group` query heads that share this key-value head: [group, key_dim].
  const float* queries;
  std::size_t group;
  std::size_t key_dim;
  std::size_t value_dim;

  // The cache: position p lies in page p / page_positions, at slot p % page_positions. Its key_dim
  // keys of this head begin at pages[page] + key_offset + slot * key_stride, its value_dim values
  // at pages[page] + value_offset + slot * value_stride; all in bytes. kF16 or kF32 numbers,
  // aligned to their size. Only the pages of [first, last) are looked at.
  const std::byte* const* pages;
  std::size_t page_positions;
  Encoding encoding;
  std::size_t key_offset;
  std::size_t key_stride;
  std::size_t value_offset;
  std::size_t value_stride;

  // The positions seen: [first, last). If there are none the output is 0.
  std::uint32_t first;
  std::uint32_t last;
  std::uint32_t query_position;  // for slopes and biases

  float scale;     // multiplies each score
  float soft_cap;  // 0: none; else score = soft_cap * tanh(score / soft_cap)

  // Each [group] or null: adds slopes[h] * float(position - query_position) to the score.
  const float* slopes;

  // Null or relative biases: adds bucket_bias[bucket_ids[clamp(position - query_position, -reach,
  // reach) + reach] * bucket_stride + h]. bucket_ids: 2 * reach + 1 floats holding whole numbers.
  // bucket_bias points at this group's first head.
  const float* bucket_bias;
  const float* bucket_ids;
  std::size_t bucket_stride;
  std::uint32_t reach;

  // [group] or null: a score that joins the softmax and has no value.
  const float* sinks;

  float* output;   // [group, value_dim]; not the queries
  float* scratch;  // AttentionScratchFloats(group, value_dim) floats of the calling thread
};

inline constexpr std::size_t AttentionScratchFloats(std::size_t group, std::size_t value_dim) {
  return group * (kAttentionChunk + value_dim + 2);
}

// Pure but for output and scratch: any thread.
using AttentionFn = void (*)(const AttentionArgs& args);

Rows<AttentionFn> AttentionRows();

}  // namespace bramble::kernels
