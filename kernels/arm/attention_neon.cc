// Attention over one key-value head. Several query heads share each key and each value that is
// loaded and widened.
#include "kernels/arm/halves.h"
#include "kernels/arm/kernels.h"
#include "kernels/arm/math_neon.h"
#include "kernels/attention.h"

namespace bramble::kernels::arm {
namespace {

// Query heads that share a pass over the cache: four registers of sums for each, of 32.
constexpr std::size_t kHeadsAtOnce = 4;

struct Half {
  static constexpr std::size_t kBytes = 2;
  static float32x4_t Load(const std::byte* p) { return LoadHalves(p); }
  static float32x4_t LoadFirst(const std::byte* p, std::size_t n) {
    std::uint16_t rest[4] = {};
    for (std::size_t i = 0; i < n; ++i) rest[i] = reinterpret_cast<const std::uint16_t*>(p)[i];
    return LoadHalves(reinterpret_cast<const std::byte*>(rest));
  }
};

struct Single {
  static constexpr std::size_t kBytes = 4;
  static float32x4_t Load(const std::byte* p) {
    return vld1q_f32(reinterpret_cast<const float*>(p));
  }
  static float32x4_t LoadFirst(const std::byte* p, std::size_t n) {
    return arm::LoadFirst(reinterpret_cast<const float*>(p), n);
  }
};

template <typename Number>
float32x4_t LoadUpTo(const std::byte* p, std::size_t n) {
  return n == 4 ? Number::Load(p) : Number::LoadFirst(p, n);
}

inline const std::byte* Entry(const AttentionArgs& args, std::uint32_t position, std::size_t offset,
                              std::size_t stride) {
  const std::size_t page = position / args.page_positions;
  return args.pages[page] + offset + (position - page * args.page_positions) * stride;
}

struct HeadScratch {
  float* weights;  // [kAttentionChunk]
  float* sums;     // [value_dim]
  float* maximum;
  float* total;
};

inline HeadScratch ScratchOf(const AttentionArgs& args, std::size_t head) {
  float* base = args.scratch + head * AttentionScratchFloats(1, args.value_dim);
  float* sums = base + kAttentionChunk;
  return {base, sums, sums + args.value_dim, sums + args.value_dim + 1};
}

// Dot products of kHeads queries with one key. A lane without a number adds 0 * 0 to a sum that
// began with +0: no change.
template <typename Number, std::size_t kHeads>
void DotWithKey(const float* queries, std::size_t key_dim, const std::byte* key, float* dots) {
  Lanes lanes[kHeads];
  ForEachLane(key_dim, [&](std::size_t l, std::size_t i, std::size_t count) {
    const float32x4_t k = LoadUpTo<Number>(key + i * Number::kBytes, count);
    for (std::size_t h = 0; h < kHeads; ++h) {
      lanes[h].at[l] = Fma(LoadFirst(queries + h * key_dim + i, count), k, lanes[h].at[l]);
    }
  });
  for (std::size_t h = 0; h < kHeads; ++h) dots[h] = lanes[h].Fold();
}

// The scaled scores of positions [first, last) of a chunk for kHeads heads from `head` on.
template <typename Number, std::size_t kHeads>
void Scores(const AttentionArgs& args, std::size_t head, std::uint32_t first, std::uint32_t last) {
  const float* queries = args.queries + head * args.key_dim;
  for (std::uint32_t p = first; p < last; ++p) {
    float dots[kHeads];
    const std::byte* key = Entry(args, p, args.key_offset, args.key_stride);
    DotWithKey<Number, kHeads>(queries, args.key_dim, key, dots);
    for (std::size_t h = 0; h < kHeads; ++h) {
      ScratchOf(args, head + h).weights[p % kAttentionChunk] = dots[h] * args.scale;
    }
  }
}

// Soft cap, slopes and biases, on the scores of one head.
void AdjustScores(const AttentionArgs& args, std::size_t head, std::uint32_t first,
                  std::uint32_t last) {
  float* scores = ScratchOf(args, head).weights;
  const std::size_t from = first % kAttentionChunk;
  if (args.soft_cap != 0.0F) SoftCapNeon(scores + from, args.soft_cap, last - first, scores + from);
  if (args.slopes == nullptr && args.bucket_bias == nullptr) return;
  const auto reach = static_cast<std::int64_t>(args.reach);
  for (std::uint32_t p = first; p < last; ++p) {
    float* score = scores + p % kAttentionChunk;
    const std::int64_t distance =
        static_cast<std::int64_t>(p) - static_cast<std::int64_t>(args.query_position);
    if (args.slopes != nullptr) *score += args.slopes[head] * static_cast<float>(distance);
    if (args.bucket_bias != nullptr) {
      const std::int64_t near = distance < -reach ? -reach : (distance > reach ? reach : distance);
      const auto bucket = static_cast<std::size_t>(args.bucket_ids[near + reach]);
      *score += args.bucket_bias[bucket * args.bucket_stride + head];
    }
  }
}

struct ChunkSums {
  float maximum;
  float total;
};

// Scores become exponentials in place. Position p is in lane p % 16, so the chunk is walked in
// aligned sixteens; positions outside of [first, last) add +0.
ChunkSums Exponentials(float* weights, std::uint32_t first, std::uint32_t last) {
  const std::size_t from = first % kAttentionChunk;
  const std::size_t to = from + (last - first);
  const std::size_t begin = from / 16 * 16;
  const std::size_t end = (to + 15) / 16 * 16;
  for (std::size_t i = begin; i < from; ++i) weights[i] = -__builtin_inff();
  for (std::size_t i = to; i < end; ++i) weights[i] = -__builtin_inff();
  float32x4_t largest = Set(-__builtin_inff());
  for (std::size_t i = begin; i < end; i += 4) {
    largest = vmaxq_f32(largest, vld1q_f32(weights + i));
  }
  const float maximum = vmaxvq_f32(largest);
  Lanes lanes;
  for (std::size_t i = begin; i < end; i += 16) {
    for (std::size_t l = 0; l < 4; ++l) {
      float* four = weights + i + 4 * l;
      const float32x4_t e = Exp(vsubq_f32(vld1q_f32(four), Set(maximum)));
      vst1q_f32(four, e);
      lanes.at[l] = vaddq_f32(lanes.at[l], e);
    }
  }
  return {maximum, lanes.Fold()};
}

// Weighted sums of numbers [at, at + 4 kRegisters) of the values, of which the last register has
// `rest`, for kHeads heads.
template <typename Number, std::size_t kHeads, std::size_t kRegisters>
void SumNumbers(const AttentionArgs& args, std::size_t head, std::uint32_t first,
                std::uint32_t last, std::size_t at, std::size_t rest) {
  const float* weights[kHeads];
  float32x4_t sums[kHeads][kRegisters];
  for (std::size_t h = 0; h < kHeads; ++h) {
    weights[h] = ScratchOf(args, head + h).weights;
    for (float32x4_t& sum : sums[h]) sum = Set(0.0F);
  }
  for (std::uint32_t p = first; p < last; ++p) {
    const std::byte* value =
        Entry(args, p, args.value_offset, args.value_stride) + at * Number::kBytes;
    for (std::size_t i = 0; i < kRegisters; ++i) {
      const std::size_t n = i + 1 < kRegisters ? 4 : rest;
      const float32x4_t v = LoadUpTo<Number>(value + 4 * i * Number::kBytes, n);
      for (std::size_t h = 0; h < kHeads; ++h) {
        sums[h][i] = Fma(Set(weights[h][p % kAttentionChunk]), v, sums[h][i]);
      }
    }
  }
  for (std::size_t h = 0; h < kHeads; ++h) {
    float* to = ScratchOf(args, head + h).sums + at;
    for (std::size_t i = 0; i < kRegisters; ++i) {
      StoreFirst(to + 4 * i, i + 1 < kRegisters ? 4 : rest, sums[h][i]);
    }
  }
}

// Joins a chunk with those before it; the first one is taken as it is.
void Merge(const AttentionArgs& args, std::size_t h, const ChunkSums& chunk, bool is_first) {
  const HeadScratch head = ScratchOf(args, h);
  float* output = args.output + h * args.value_dim;
  if (is_first) {
    *head.maximum = chunk.maximum;
    *head.total = chunk.total;
    ForEachFour(args.value_dim, [=](std::size_t d, std::size_t count) {
      StoreFirst(output + d, count, LoadFirst(head.sums + d, count));
    });
    return;
  }
  const float maximum = chunk.maximum > *head.maximum ? chunk.maximum : *head.maximum;
  const float before = Exp(*head.maximum - maximum);
  const float now = Exp(chunk.maximum - maximum);
  *head.total = Fma(*head.total, before, chunk.total * now);
  *head.maximum = maximum;
  ForEachFour(args.value_dim, [=](std::size_t d, std::size_t count) {
    const float32x4_t added = vmulq_f32(LoadFirst(head.sums + d, count), Set(now));
    StoreFirst(output + d, count, Fma(LoadFirst(output + d, count), Set(before), added));
  });
}

// Positions [first, last) of one chunk for kHeads heads from `head` on.
template <typename Number, std::size_t kHeads>
void RunChunk(const AttentionArgs& args, std::size_t head, std::uint32_t first,
              std::uint32_t last) {
  Scores<Number, kHeads>(args, head, first, last);
  ChunkSums chunks[kHeads];
  for (std::size_t h = 0; h < kHeads; ++h) {
    AdjustScores(args, head + h, first, last);
    chunks[h] = Exponentials(ScratchOf(args, head + h).weights, first, last);
  }
  std::size_t d = 0;
  for (; d + 16 <= args.value_dim; d += 16) {
    SumNumbers<Number, kHeads, 4>(args, head, first, last, d, 4);
  }
  ForEachFour(args.value_dim - d, [&](std::size_t i, std::size_t count) {
    SumNumbers<Number, kHeads, 1>(args, head, first, last, d + i, count);
  });
  for (std::size_t h = 0; h < kHeads; ++h) {
    Merge(args, head + h, chunks[h], first == args.first);
  }
}

// The sink joins as a last chunk of one position without a value; then the division.
void Finish(const AttentionArgs& args, std::size_t h) {
  const HeadScratch head = ScratchOf(args, h);
  float* output = args.output + h * args.value_dim;
  float total = *head.total;
  float factor = 1;
  const bool has_sink = args.sinks != nullptr;
  if (has_sink) {
    const float sink = args.sinks[h];
    const float maximum = sink > *head.maximum ? sink : *head.maximum;
    factor = Exp(*head.maximum - maximum);
    total = Fma(total, factor, Exp(sink - maximum));
  }
  const float inverse = 1.0F / total;
  ForEachFour(args.value_dim, [=](std::size_t d, std::size_t count) {
    float32x4_t value = LoadFirst(output + d, count);
    if (has_sink) value = vmulq_f32(value, Set(factor));
    StoreFirst(output + d, count, vmulq_f32(value, Set(inverse)));
  });
}

template <typename Number, std::size_t kHeads>
void RunHeads(const AttentionArgs& args, std::size_t head) {
  constexpr auto kChunk = static_cast<std::uint32_t>(kAttentionChunk);
  std::uint32_t first = args.first;
  while (first < args.last) {
    const std::uint32_t rest = kChunk - first % kChunk;
    const std::uint32_t last = args.last - first < rest ? args.last : first + rest;
    RunChunk<Number, kHeads>(args, head, first, last);
    first = last;
  }
  for (std::size_t h = 0; h < kHeads; ++h) Finish(args, head + h);
}

template <typename Number>
void RunGroup(const AttentionArgs& args) {
  std::size_t h = 0;
  for (; h + kHeadsAtOnce <= args.group; h += kHeadsAtOnce) RunHeads<Number, kHeadsAtOnce>(args, h);
  if (args.group - h == 3) RunHeads<Number, 3>(args, h);
  if (args.group - h == 2) RunHeads<Number, 2>(args, h);
  if (args.group - h == 1) RunHeads<Number, 1>(args, h);
}

}  // namespace

void AttentionNeon(const AttentionArgs& args) {
  if (args.first >= args.last) {
    for (std::size_t i = 0; i < args.group * args.value_dim; ++i) args.output[i] = 0;
    return;
  }
  if (args.encoding == Encoding::kF16) {
    RunGroup<Half>(args);
  } else {
    RunGroup<Single>(args);
  }
}

}  // namespace bramble::kernels::arm
