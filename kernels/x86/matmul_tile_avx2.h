// What all products with panels have in common: the walk over panels, tiles of input rows and
// segments, and the tree. Everything has internal linkage: only files compiled for AVX2 include
// this.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernels/a8.h"
#include "kernels/matmul.h"

namespace bramble::kernels::x86 {
namespace {

// A tile is 16 outputs (two registers of 8) of up to this many input rows.
constexpr std::size_t kTileRows = 4;

template <std::size_t kRows>
struct Sums {
  __m256 at[kRows][2];
};

// One tile's sums, segment by segment.
template <std::size_t kRows>
struct SegmentSums {
  Sums<kRows> segment[kMaxSegments];
};

// ((s0+s1)+(s2+s3)) + ((s4+s5)+(s6+s7)); a node with one child is that child. The sum is left in
// segment[0].
template <std::size_t kRows>
void Join(SegmentSums<kRows>* sums, std::size_t count) {
  for (std::size_t n = count; n > 1; n = (n + 1) / 2) {
    for (std::size_t s = 0; s < n / 2; ++s) {
      for (std::size_t r = 0; r < kRows; ++r) {
        for (std::size_t half = 0; half < 2; ++half) {
          sums->segment[s].at[r][half] =
              _mm256_add_ps(sums->segment[2 * s].at[r][half], sums->segment[2 * s + 1].at[r][half]);
        }
      }
    }
    if (n % 2 != 0) sums->segment[n / 2] = sums->segment[n - 1];
  }
}

// Adds the bias and writes 16 outputs, or as many as there are.
inline void Store16(const MatmulArgs& args, std::size_t row, std::size_t first_output, __m256 low,
                    __m256 high) {
  const std::size_t count = args.last_output - first_output;
  float* output = args.output + row * args.output_stride + first_output;
  if (count >= kPanelRows) {
    if (args.bias != nullptr) {
      low = _mm256_add_ps(low, _mm256_loadu_ps(args.bias + first_output));
      high = _mm256_add_ps(high, _mm256_loadu_ps(args.bias + first_output + 8));
    }
    _mm256_storeu_ps(output, low);
    _mm256_storeu_ps(output + 8, high);
    return;
  }
  alignas(32) float values[kPanelRows];
  _mm256_store_ps(values, low);
  _mm256_store_ps(values + 8, high);
  for (std::size_t o = 0; o < count; ++o) {
    output[o] = args.bias != nullptr ? values[o] + args.bias[first_output + o] : values[o];
  }
}

// How far ahead of its use a panel is asked for. The units of 256 values are read in several
// interleaved streams, which the hardware's own prefetching does not follow. Into the second-level
// cache: asking for the first was slower than not asking.
constexpr std::size_t kPrefetchDistance = 4096;

// Asks for kBytes of the panel that will be needed soon; past its end this does no harm.
template <std::size_t kBytes>
void Prefetch(const std::byte* panel) {
  for (std::size_t at = 0; at < kBytes; at += 64) {
    const auto address = reinterpret_cast<std::uintptr_t>(panel) + kPrefetchDistance + at;
    // NOLINTNEXTLINE(performance-no-int-to-ptr): past the panel there may be nothing to point at
    _mm_prefetch(reinterpret_cast<const char*>(address), _MM_HINT_T1);
  }
}

// Unit: kValues inputs in kBytes bytes of the panel, and
//   template <std::size_t kRows> static void Add(const std::byte* unit, const std::byte* const*
//   inputs, Sums<kRows>* sums)
// which adds a unit's products; inputs[r] points at row r's numbers for this unit, kInputBytes
// apart from unit to unit.
template <typename Unit, std::size_t kRows>
void RunTile(const MatmulArgs& args, const std::byte* panel, std::size_t first_row,
             std::size_t first_output) {
  const MatmulShape& shape = *args.shape;
  const std::byte* inputs[kRows];
  for (std::size_t r = 0; r < kRows; ++r)
    inputs[r] = args.input + (first_row + r) * args.input_stride;
  SegmentSums<kRows> sums;
  std::size_t at = 0;
  for (std::size_t s = 0; s < shape.segments; ++s) {
    Sums<kRows> segment;
    for (std::size_t r = 0; r < kRows; ++r) {
      segment.at[r][0] = _mm256_setzero_ps();
      segment.at[r][1] = _mm256_setzero_ps();
    }
    for (; at < shape.segment_ends[s]; at += Unit::kValues) {
      if (first_row == 0) Prefetch<Unit::kBytes>(panel);
      Unit::template Add<kRows>(panel, inputs, &segment);
      panel += Unit::kBytes;
      for (std::size_t r = 0; r < kRows; ++r) inputs[r] += Unit::kInputBytes;
    }
    sums.segment[s] = segment;
  }
  Join<kRows>(&sums, shape.segments);
  for (std::size_t r = 0; r < kRows; ++r) {
    Store16(args, first_row + r, first_output, sums.segment[0].at[r][0], sums.segment[0].at[r][1]);
  }
}

template <typename Unit>
void RunPanels(const MatmulArgs& args) {
  const std::size_t panel_bytes = args.shape->inputs / Unit::kValues * Unit::kBytes;
  for (std::size_t o = args.first_output; o < args.last_output; o += kPanelRows) {
    const std::byte* panel = args.packed + o / kPanelRows * panel_bytes;
    std::size_t r = 0;
    for (; r + kTileRows <= args.rows; r += kTileRows) RunTile<Unit, kTileRows>(args, panel, r, o);
    if (args.rows - r == 3) RunTile<Unit, 3>(args, panel, r, o);
    if (args.rows - r == 2) RunTile<Unit, 2>(args, panel, r, o);
    if (args.rows - r == 1) RunTile<Unit, 1>(args, panel, r, o);
  }
}

inline const A8Group* Groups(const std::byte* input) {
  return reinterpret_cast<const A8Group*>(input);
}

inline __m256i Load(const std::byte* p) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}

// Eight halves, widened.
inline __m256 LoadHalves(const std::byte* p) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}

// Four consecutive inputs, in each lane.
inline __m256i BroadcastFour(const std::int8_t* q) {
  int four = 0;
  __builtin_memcpy(&four, q, sizeof(four));
  return _mm256_set1_epi32(four);
}

// The low nibble of each byte, and the high one.
inline __m256i LowNibbles(__m256i bytes) { return _mm256_and_si256(bytes, _mm256_set1_epi8(15)); }
inline __m256i HighNibbles(__m256i bytes) { return LowNibbles(_mm256_srli_epi16(bytes, 4)); }

// The bits that begin at bit kFrom of each byte, moved to begin at bit kTo; kMask is where they are
// then.
template <std::size_t kFrom, std::size_t kTo, char kMask>
__m256i MoveBits(__m256i bytes) {
  __m256i moved = bytes;
  if constexpr (kTo > kFrom) moved = _mm256_slli_epi16(bytes, kTo - kFrom);
  if constexpr (kFrom > kTo) moved = _mm256_srli_epi16(bytes, kFrom - kTo);
  return _mm256_and_si256(moved, _mm256_set1_epi8(kMask));
}

// Pairs of 16-bit sums to 32 bits.
inline __m256i WidenPairs(__m256i sums) { return _mm256_madd_epi16(sums, _mm256_set1_epi16(1)); }

// Sixteen-bit sums of four products each, for 16 outputs of each row.
template <std::size_t kRows>
struct Sums16 {
  __m256i at[kRows][2];

  void Clear() {
    for (std::size_t r = 0; r < kRows; ++r) at[r][0] = at[r][1] = _mm256_setzero_si256();
  }

  // weights: unsigned bytes of four inputs of each output; q: where these inputs lie in a group.
  void Add(const __m256i (&weights)[2], const std::byte* const* inputs, std::size_t q) {
    for (std::size_t r = 0; r < kRows; ++r) {
      const __m256i x = BroadcastFour(Groups(inputs[r])->q + q);
      at[r][0] = _mm256_add_epi16(at[r][0], _mm256_maddubs_epi16(weights[0], x));
      at[r][1] = _mm256_add_epi16(at[r][1], _mm256_maddubs_epi16(weights[1], x));
    }
  }
};

// 32-bit sums for 16 outputs of each row.
template <std::size_t kRows>
struct Sums32 {
  __m256i at[kRows][2];

  void Clear() {
    for (std::size_t r = 0; r < kRows; ++r) at[r][0] = at[r][1] = _mm256_setzero_si256();
  }

  void AddPairs(const Sums16<kRows>& products) {
    for (std::size_t r = 0; r < kRows; ++r) {
      at[r][0] = _mm256_add_epi32(at[r][0], WidenPairs(products.at[r][0]));
      at[r][1] = _mm256_add_epi32(at[r][1], WidenPairs(products.at[r][1]));
    }
  }

  // Each pair of 16-bit sums times a pair of 16-bit scales; scales[half].
  void AddScaledPairs(const Sums16<kRows>& products, const __m256i (&scales)[2]) {
    for (std::size_t r = 0; r < kRows; ++r) {
      at[r][0] = _mm256_add_epi32(at[r][0], _mm256_madd_epi16(products.at[r][0], scales[0]));
      at[r][1] = _mm256_add_epi32(at[r][1], _mm256_madd_epi16(products.at[r][1], scales[1]));
    }
  }
};

}  // namespace
}  // namespace bramble::kernels::x86
