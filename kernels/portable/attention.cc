#include "kernels/attention.h"

#include <bit>
#include <cmath>
#include <cstring>

#include "kernels/encodings/bits.h"
#include "kernels/math.h"
#include "kernels/portable/kernels.h"
#include "kernels/portable/lanes.h"

namespace bramble::kernels::portable {
namespace {

// The parts of AttentionArgs::scratch of one query head.
struct HeadScratch {
  float* weights;  // [kAttentionChunk]: scores, then exp(score - maximum), at position %
                   // kAttentionChunk
  float* sums;     // [value_dim]: the chunk's weighted sum of values
  float* maximum;  // over the chunks so far
  float* total;    // of the exponentials, over the chunks so far
};

HeadScratch ScratchOf(const AttentionArgs& args, std::size_t head) {
  float* base = args.scratch + head * AttentionScratchFloats(1, args.value_dim);
  return {base, base + kAttentionChunk, base + kAttentionChunk + args.value_dim,
          base + kAttentionChunk + args.value_dim + 1};
}

const std::byte* Entry(const AttentionArgs& args, std::uint32_t position, std::size_t offset,
                       std::size_t stride) {
  const std::byte* page = args.pages[position / args.page_positions];
  return page + offset + position % args.page_positions * stride;
}

float Number(const AttentionArgs& args, const std::byte* entry, std::size_t i) {
  if (args.encoding == Encoding::kF16) return HalfAt(entry + 2 * i);
  return std::bit_cast<float>(Load32(entry + 4 * i));
}

float DotWithKey(const AttentionArgs& args, const float* query, const std::byte* key) {
  float lanes[kLanes] = {};
  for (std::size_t i = 0; i < args.key_dim; ++i) {
    lanes[i % kLanes] = Fma(query[i], Number(args, key, i), lanes[i % kLanes]);
  }
  return FoldLanes(lanes);
}

float Score(const AttentionArgs& args, std::size_t head, std::uint32_t position) {
  const std::byte* key = Entry(args, position, args.key_offset, args.key_stride);
  float score = DotWithKey(args, args.queries + head * args.key_dim, key) * args.scale;
  if (args.soft_cap != 0.0F) score = args.soft_cap * Tanh(score / args.soft_cap);
  const std::int64_t distance =
      static_cast<std::int64_t>(position) - static_cast<std::int64_t>(args.query_position);
  if (args.slopes != nullptr) score += args.slopes[head] * static_cast<float>(distance);
  if (args.bucket_bias != nullptr) {
    const auto reach = static_cast<std::int64_t>(args.reach);
    const std::int64_t near = distance < -reach ? -reach : (distance > reach ? reach : distance);
    const auto bucket = static_cast<std::size_t>(args.bucket_ids[near + reach]);
    score += args.bucket_bias[bucket * args.bucket_stride + head];
  }
  return score;
}

// Scores of positions [first, last) of one chunk become exponentials in place. Returns the maximum
// and the sum.
struct ChunkSums {
  float maximum;
  float total;
};
ChunkSums Exponentials(float* weights, std::uint32_t first, std::uint32_t last) {
  float maximum = -INFINITY;
  for (std::uint32_t p = first; p < last; ++p) {
    const float score = weights[p % kAttentionChunk];
    maximum = score > maximum ? score : maximum;
  }
  float lanes[kLanes] = {};
  for (std::uint32_t p = first; p < last; ++p) {
    float* weight = weights + p % kAttentionChunk;
    *weight = Exp(*weight - maximum);
    lanes[p % kLanes] += *weight;
  }
  return {maximum, FoldLanes(lanes)};
}

// sums[d] = sum of weight * value over the chunk, by fma in rising position.
void SumValues(const AttentionArgs& args, const float* weights, std::uint32_t first,
               std::uint32_t last, float* sums) {
  for (std::size_t d = 0; d < args.value_dim; ++d) sums[d] = 0;
  for (std::uint32_t p = first; p < last; ++p) {
    const std::byte* value = Entry(args, p, args.value_offset, args.value_stride);
    const float weight = weights[p % kAttentionChunk];
    for (std::size_t d = 0; d < args.value_dim; ++d) {
      sums[d] = Fma(weight, Number(args, value, d), sums[d]);
    }
  }
}

// Joins a chunk with those before it.
void Merge(const HeadScratch& head, const ChunkSums& chunk, std::size_t value_dim, float* output) {
  const float maximum = chunk.maximum > *head.maximum ? chunk.maximum : *head.maximum;
  const float before = Exp(*head.maximum - maximum);
  const float now = Exp(chunk.maximum - maximum);
  *head.total = Fma(*head.total, before, chunk.total * now);
  for (std::size_t d = 0; d < value_dim; ++d) {
    output[d] = Fma(output[d], before, head.sums[d] * now);
  }
  *head.maximum = maximum;
}

void RunChunk(const AttentionArgs& args, std::size_t h, std::uint32_t first, std::uint32_t last,
              bool is_first) {
  const HeadScratch head = ScratchOf(args, h);
  float* output = args.output + h * args.value_dim;
  for (std::uint32_t p = first; p < last; ++p) {
    head.weights[p % kAttentionChunk] = Score(args, h, p);
  }
  const ChunkSums chunk = Exponentials(head.weights, first, last);
  SumValues(args, head.weights, first, last, head.sums);
  if (is_first) {
    *head.maximum = chunk.maximum;
    *head.total = chunk.total;
    std::memcpy(output, head.sums, args.value_dim * sizeof(float));
  } else {
    Merge(head, chunk, args.value_dim, output);
  }
}

// The sink joins as a last chunk of one position without a value; then the division.
void Finish(const AttentionArgs& args, std::size_t h) {
  const HeadScratch head = ScratchOf(args, h);
  float* output = args.output + h * args.value_dim;
  float total = *head.total;
  float factor = 1.0F;
  if (args.sinks != nullptr) {
    const float sink = args.sinks[h];
    const float maximum = sink > *head.maximum ? sink : *head.maximum;
    factor = Exp(*head.maximum - maximum);
    total = Fma(total, factor, Exp(sink - maximum));
  }
  const float inverse = 1.0F / total;
  for (std::size_t d = 0; d < args.value_dim; ++d) {
    if (args.sinks != nullptr) output[d] *= factor;
    output[d] *= inverse;
  }
}

}  // namespace

void Attention(const AttentionArgs& args) {
  if (args.first >= args.last) {
    for (std::size_t i = 0; i < args.group * args.value_dim; ++i) args.output[i] = 0;
    return;
  }
  constexpr auto kChunk = static_cast<std::uint32_t>(kAttentionChunk);
  for (std::size_t h = 0; h < args.group; ++h) {
    std::uint32_t first = args.first;
    while (first < args.last) {
      const std::uint32_t rest = kChunk - first % kChunk;
      const std::uint32_t last = args.last - first < rest ? args.last : first + rest;
      RunChunk(args, h, first, last, first == args.first);
      first = last;
    }
    Finish(args, h);
  }
}

}  // namespace bramble::kernels::portable
