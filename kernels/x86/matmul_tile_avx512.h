// What all products with AVX-512 and VNNI have in common: sums of 16 outputs in a register, the
// walk over panels, tiles of input rows and segments, and the tree. Everything has internal
// linkage: only files compiled for AVX-512 include this.
#pragma once

#if defined(__GNUC__) && !defined(__clang__)
// GCC 12 takes the deliberately undefined values inside its own intrinsics for a fault (its bug
// 105593).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernels/a8.h"
#include "kernels/matmul.h"

namespace bramble::kernels::x86 {
namespace {

// Input rows of a tile.
constexpr std::size_t kTileRows = 8;

inline __m512i Load(const std::byte* p) { return _mm512_loadu_si512(p); }

// 16 halves, widened.
inline __m512 LoadHalves(const std::byte* p) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}

inline const A8Group& GroupAt(const std::byte* input) {
  return *reinterpret_cast<const A8Group*>(input);
}

inline __m512i BroadcastFour(const std::int8_t* q) {
  int four = 0;
  __builtin_memcpy(&four, q, sizeof(four));
  return _mm512_set1_epi32(four);
}

// The bits that begin at bit kFrom of each byte, moved to begin at bit kTo; kMask is where they are
// then.
template <std::size_t kFrom, std::size_t kTo, char kMask>
__m512i MoveBits(__m512i bytes) {
  __m512i moved = bytes;
  if constexpr (kTo > kFrom) moved = _mm512_slli_epi16(bytes, kTo - kFrom);
  if constexpr (kFrom > kTo) moved = _mm512_srli_epi16(bytes, kFrom - kTo);
  return _mm512_and_si512(moved, _mm512_set1_epi8(kMask));
}

template <std::size_t kRows>
struct Sums {
  __m512 at[kRows];
};

// Integer sums of one group: of its first and of its second 16 inputs, or all in the first.
template <std::size_t kRows>
struct Integers {
  __m512i at[kRows];

  void Clear() {
    for (std::size_t r = 0; r < kRows; ++r) at[r] = _mm512_setzero_si512();
  }
  // weights: unsigned bytes of four inputs of each output; q: where these inputs lie in the group.
  void Add(__m512i weights, const std::byte* const* inputs, std::size_t q) {
    for (std::size_t r = 0; r < kRows; ++r) {
      at[r] = _mm512_dpbusd_epi32(at[r], weights, BroadcastFour(GroupAt(inputs[r]).q + q));
    }
  }
};

// sums += float(integer) * (scale * the input's scale)
template <std::size_t kRows>
void AddScaled(__m512 scale, const std::byte* const* inputs, const Integers<kRows>& integers,
               Sums<kRows>* sums) {
  for (std::size_t r = 0; r < kRows; ++r) {
    const __m512 factor = _mm512_mul_ps(scale, _mm512_set1_ps(GroupAt(inputs[r]).scale));
    sums->at[r] = _mm512_fmadd_ps(factor, _mm512_cvtepi32_ps(integers.at[r]), sums->at[r]);
  }
}

// sums += minimum * the input's scaled sum
template <std::size_t kRows>
void AddMinimum(__m512 minimum, const std::byte* const* inputs, Sums<kRows>* sums) {
  for (std::size_t r = 0; r < kRows; ++r) {
    const __m512 t = _mm512_set1_ps(GroupAt(inputs[r]).scaled_sum);
    sums->at[r] = _mm512_fmadd_ps(minimum, t, sums->at[r]);
  }
}

// How far ahead of its use a panel is asked for (see matmul_tile_avx2.h).
constexpr std::size_t kPrefetchDistance = 4096;

template <std::size_t kBytes>
void Prefetch(const std::byte* panel) {
  for (std::size_t at = 0; at < kBytes; at += 64) {
    const auto address = reinterpret_cast<std::uintptr_t>(panel) + kPrefetchDistance + at;
    // NOLINTNEXTLINE(performance-no-int-to-ptr): past the panel there may be nothing to point at
    _mm_prefetch(reinterpret_cast<const char*>(address), _MM_HINT_T1);
  }
}

// ((s0+s1)+(s2+s3)) + ((s4+s5)+(s6+s7)); a node with one child is that child. The sum is left in
// segments[0].
template <std::size_t kRows>
void Join(Sums<kRows>* segments, std::size_t count) {
  for (std::size_t n = count; n > 1; n = (n + 1) / 2) {
    for (std::size_t s = 0; s < n / 2; ++s) {
      for (std::size_t r = 0; r < kRows; ++r) {
        segments[s].at[r] = _mm512_add_ps(segments[2 * s].at[r], segments[2 * s + 1].at[r]);
      }
    }
    if (n % 2 != 0) segments[n / 2] = segments[n - 1];
  }
}

template <typename Unit, std::size_t kRows>
void RunTile(const MatmulArgs& args, const std::byte* panel, std::size_t first_row,
             std::size_t first_output) {
  const MatmulShape& shape = *args.shape;
  const std::byte* inputs[kRows];
  for (std::size_t r = 0; r < kRows; ++r) {
    inputs[r] = args.input + (first_row + r) * args.input_stride;
  }
  Sums<kRows> segments[kMaxSegments];
  std::size_t at = 0;
  for (std::size_t s = 0; s < shape.segments; ++s) {
    Sums<kRows> sums;
    for (std::size_t r = 0; r < kRows; ++r) sums.at[r] = _mm512_setzero_ps();
    for (; at < shape.segment_ends[s]; at += Unit::kValues) {
      if (first_row == 0) Prefetch<Unit::kBytes>(panel);
      Unit::template Add<kRows>(panel, inputs, &sums);
      panel += Unit::kBytes;
      for (std::size_t r = 0; r < kRows; ++r) inputs[r] += Unit::kInputBytes;
    }
    segments[s] = sums;
  }
  Join<kRows>(segments, shape.segments);
  const std::size_t rest = args.last_output - first_output;
  const auto mask = static_cast<__mmask16>(rest >= kPanelRows ? 0xffffU : (1U << rest) - 1U);
  for (std::size_t r = 0; r < kRows; ++r) {
    __m512 value = segments[0].at[r];
    if (args.bias != nullptr) {
      value = _mm512_add_ps(value, _mm512_maskz_loadu_ps(mask, args.bias + first_output));
    }
    float* output = args.output + (first_row + r) * args.output_stride + first_output;
    _mm512_mask_storeu_ps(output, mask, value);
  }
}

template <typename Unit>
void RunPanels(const MatmulArgs& args) {
  const std::size_t panel_bytes = args.shape->inputs / Unit::kValues * Unit::kBytes;
  for (std::size_t o = args.first_output; o < args.last_output; o += kPanelRows) {
    const std::byte* panel = args.packed + o / kPanelRows * panel_bytes;
    std::size_t r = 0;
    for (; r + kTileRows <= args.rows; r += kTileRows) RunTile<Unit, kTileRows>(args, panel, r, o);
    for (; r + 4 <= args.rows; r += 4) RunTile<Unit, 4>(args, panel, r, o);
    if (args.rows - r == 3) RunTile<Unit, 3>(args, panel, r, o);
    if (args.rows - r == 2) RunTile<Unit, 2>(args, panel, r, o);
    if (args.rows - r == 1) RunTile<Unit, 1>(args, panel, r, o);
  }
}

}  // namespace
}  // namespace bramble::kernels::x86
