// Attention over one key-value head. Several query heads share each key that is loaded and widened.
#include "kernels/attention.h"
#include "kernels/x86/kernels.h"
#include "kernels/x86/math_avx2.h"

namespace bramble::kernels::x86 {
namespace {

// Query heads that share a pass over the cache: two registers of sums for each.
constexpr std::size_t kHeadsAtOnce = 4;

struct Half {
  static constexpr std::size_t kBytes = 2;
  static __m256 Load(const std::byte* p) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  static __m256 LoadFirst(const std::byte* p, std::size_t n) {
    alignas(16) std::uint16_t rest[8] = {};
    for (std::size_t i = 0; i < n; ++i) rest[i] = reinterpret_cast<const std::uint16_t*>(p)[i];
    return _mm256_cvtph_ps(_mm_load_si128(reinterpret_cast<const __m128i*>(rest)));
  }
};

struct Single {
  static constexpr std::size_t kBytes = 4;
  static __m256 Load(const std::byte* p) {
    return _mm256_loadu_ps(reinterpret_cast<const float*>(p));
  }
  static __m256 LoadFirst(const std::byte* p, std::size_t n) {
    return x86::LoadFirst(reinterpret_cast<const float*>(p), n);
  }
};

template <typename Number>
__m256 LoadUpTo(const std::byte* p, std::size_t n) {
  return n == 8 ? Number::Load(p) : Number::LoadFirst(p, n);
}

inline __m256 LoadQuery(const float* p, std::size_t n) {
  return n == 8 ? _mm256_loadu_ps(p) : LoadFirst(p, n);
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
  __m256 lanes[kHeads][2];
  for (std::size_t h = 0; h < kHeads; ++h) lanes[h][0] = lanes[h][1] = _mm256_setzero_ps();
  for (std::size_t i = 0; i < key_dim; i += 16) {
    for (std::size_t half = 0; half < 2; ++half) {
      const std::size_t at = i + 8 * half;
      if (at >= key_dim) break;
      const std::size_t n = key_dim - at < 8 ? key_dim - at : 8;
      const __m256 k = LoadUpTo<Number>(key + at * Number::kBytes, n);
      for (std::size_t h = 0; h < kHeads; ++h) {
        const __m256 q = LoadQuery(queries + h * key_dim + at, n);
        lanes[h][half] = _mm256_fmadd_ps(q, k, lanes[h][half]);
      }
    }
  }
  for (std::size_t h = 0; h < kHeads; ++h) dots[h] = Fold(lanes[h][0], lanes[h][1]);
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
  if (args.soft_cap != 0.0F) SoftCapAvx2(scores + from, args.soft_cap, last - first, scores + from);
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
  __m256 largest = Set(-__builtin_inff());
  for (std::size_t i = begin; i < end; i += 8) {
    largest = Larger(_mm256_loadu_ps(weights + i), largest);
  }
  __m128 four = _mm_max_ps(_mm256_castps256_ps128(largest), _mm256_extractf128_ps(largest, 1));
  four = _mm_max_ps(four, _mm_movehl_ps(four, four));
  const float maximum = _mm_cvtss_f32(_mm_max_ss(four, _mm_movehdup_ps(four)));
  __m256 lanes[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
  for (std::size_t i = begin; i < end; i += 8) {
    const __m256 e = Exp(_mm256_sub_ps(_mm256_loadu_ps(weights + i), Set(maximum)));
    _mm256_storeu_ps(weights + i, e);
    lanes[i / 8 % 2] = _mm256_add_ps(lanes[i / 8 % 2], e);
  }
  return {maximum, Fold(lanes[0], lanes[1])};
}

// Weighted sums of eight numbers (or n of them) of the values for kHeads heads.
template <typename Number, std::size_t kHeads>
void SumEight(const AttentionArgs& args, std::size_t head, std::uint32_t first, std::uint32_t last,
              std::size_t at, std::size_t n) {
  const float* weights[kHeads];
  __m256 sums[kHeads];
  for (std::size_t h = 0; h < kHeads; ++h) {
    weights[h] = ScratchOf(args, head + h).weights;
    sums[h] = _mm256_setzero_ps();
  }
  for (std::uint32_t p = first; p < last; ++p) {
    const std::byte* value = Entry(args, p, args.value_offset, args.value_stride);
    const __m256 v = LoadUpTo<Number>(value + at * Number::kBytes, n);
    for (std::size_t h = 0; h < kHeads; ++h) {
      const __m256 weight = _mm256_broadcast_ss(weights[h] + p % kAttentionChunk);
      sums[h] = _mm256_fmadd_ps(weight, v, sums[h]);
    }
  }
  for (std::size_t h = 0; h < kHeads; ++h) {
    StoreFirst(ScratchOf(args, head + h).sums + at, n, sums[h]);
  }
}

// Joins a chunk with those before it; the first one is taken as it is.
void Merge(const AttentionArgs& args, std::size_t h, const ChunkSums& chunk, bool is_first) {
  const HeadScratch head = ScratchOf(args, h);
  float* output = args.output + h * args.value_dim;
  float before = 0;
  float now = 1;
  if (is_first) {
    *head.maximum = chunk.maximum;
    *head.total = chunk.total;
  } else {
    const float maximum = chunk.maximum > *head.maximum ? chunk.maximum : *head.maximum;
    before = _mm256_cvtss_f32(Exp(Set(*head.maximum - maximum)));
    now = _mm256_cvtss_f32(Exp(Set(chunk.maximum - maximum)));
    *head.total = _mm_cvtss_f32(
        _mm_fmadd_ss(_mm_set_ss(*head.total), _mm_set_ss(before), _mm_set_ss(chunk.total * now)));
    *head.maximum = maximum;
  }
  for (std::size_t d = 0; d < args.value_dim; d += 8) {
    const std::size_t n = args.value_dim - d < 8 ? args.value_dim - d : 8;
    __m256 sum = LoadFirst(head.sums + d, n);
    if (!is_first) {
      sum = _mm256_fmadd_ps(LoadFirst(output + d, n), Set(before), _mm256_mul_ps(sum, Set(now)));
    }
    StoreFirst(output + d, n, sum);
  }
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
  for (std::size_t d = 0; d < args.value_dim; d += 8) {
    const std::size_t n = args.value_dim - d < 8 ? args.value_dim - d : 8;
    SumEight<Number, kHeads>(args, head, first, last, d, n);
  }
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
  if (args.sinks != nullptr) {
    const float sink = args.sinks[h];
    const float maximum = sink > *head.maximum ? sink : *head.maximum;
    factor = _mm256_cvtss_f32(Exp(Set(*head.maximum - maximum)));
    const float weight = _mm256_cvtss_f32(Exp(Set(sink - maximum)));
    total = _mm_cvtss_f32(_mm_fmadd_ss(_mm_set_ss(total), _mm_set_ss(factor), _mm_set_ss(weight)));
  }
  const __m256 inverse = Set(1.0F / total);
  for (std::size_t d = 0; d < args.value_dim; d += 8) {
    const std::size_t n = args.value_dim - d < 8 ? args.value_dim - d : 8;
    __m256 value = LoadFirst(output + d, n);
    if (args.sinks != nullptr) value = _mm256_mul_ps(value, Set(factor));
    StoreFirst(output + d, n, _mm256_mul_ps(value, inverse));
  }
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

void AttentionAvx2(const AttentionArgs& args) {
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

}  // namespace bramble::kernels::x86
