// Products with blocks of 32 values. The integer sums are exact, so their order is free; the float
// operations are those of docs/arithmetic.md, lane by lane.
#include "kernels/panels/layouts.h"
#include "kernels/x86/kernels.h"
#include "kernels/x86/matmul_tile_avx2.h"

namespace bramble::kernels::x86 {
namespace {

// What follows the integer sum of a group: its scale, and a minimum where the encoding has one.
template <typename Layout, int kOffset, bool kMinimum, std::size_t kRows>
void Finish(const std::byte* unit, const std::byte* const* inputs, const Sums32<kRows>& integers,
            Sums<kRows>* sums) {
  for (std::size_t half = 0; half < 2; ++half) {
    const __m256 scale = LoadHalves(unit + Layout::kScales + 16 * half);
    for (std::size_t r = 0; r < kRows; ++r) {
      const A8Group& input = *Groups(inputs[r]);
      __m256i integer = integers.at[r][half];
      if constexpr (kOffset != 0) {
        integer = _mm256_sub_epi32(integer, _mm256_set1_epi32(kOffset * input.sum));
      }
      const __m256 factor = _mm256_mul_ps(scale, _mm256_set1_ps(input.scale));
      __m256 sum = _mm256_fmadd_ps(factor, _mm256_cvtepi32_ps(integer), sums->at[r][half]);
      if constexpr (kMinimum) {
        const __m256 minimum = LoadHalves(unit + Layout::kMinima + 16 * half);
        sum = _mm256_fmadd_ps(minimum, _mm256_set1_ps(input.scaled_sum), sum);
      }
      sums->at[r][half] = sum;
    }
  }
}

// Four bits: eight products of a nibble and an input, in pairs, stay below 2^15 (8 * 2 * 15 * 127 =
// 30480).
template <typename Layout, int kOffset, bool kMinimum>
struct FourBits {
  static constexpr std::size_t kValues = 32;
  static constexpr std::size_t kBytes = Layout::kUnit;
  static constexpr std::size_t kInputBytes = sizeof(A8Group);

  template <std::size_t kRows>
  static void Add(const std::byte* unit, const std::byte* const* inputs, Sums<kRows>* sums) {
    Sums16<kRows> products;
    products.Clear();
    for (std::size_t line = 0; line < 4; ++line) {
      const std::byte* bytes = unit + Layout::kNibbles + 64 * line;
      const __m256i both[2] = {Load(bytes), Load(bytes + 32)};
      const __m256i low[2] = {LowNibbles(both[0]), LowNibbles(both[1])};
      products.Add(low, inputs, 4 * line);
      const __m256i high[2] = {HighNibbles(both[0]), HighNibbles(both[1])};
      products.Add(high, inputs, 16 + 4 * line);
    }
    Sums32<kRows> integers;
    integers.Clear();
    integers.AddPairs(products);
    Finish<Layout, kOffset, kMinimum, kRows>(unit, inputs, integers, sums);
  }
};

// Bit `line` of each byte, moved to bit 4.
inline __m256i FifthBit(__m256i bits, std::size_t line) {
  const __m256i moved = line <= 4 ? _mm256_slli_epi32(bits, static_cast<int>(4 - line))
                                  : _mm256_srli_epi32(bits, static_cast<int>(line - 4));
  return _mm256_and_si256(moved, _mm256_set1_epi8(16));
}

// Five bits: four products in pairs stay below 2^15 (4 * 2 * 31 * 127 = 31496).
template <typename Layout, int kOffset, bool kMinimum>
struct FiveBits {
  static constexpr std::size_t kValues = 32;
  static constexpr std::size_t kBytes = Layout::kUnit;
  static constexpr std::size_t kInputBytes = sizeof(A8Group);

  template <std::size_t kRows>
  static void Add(const std::byte* unit, const std::byte* const* inputs, Sums<kRows>* sums) {
    const __m256i bits[2] = {Load(unit + Layout::kHigh), Load(unit + Layout::kHigh + 32)};
    Sums32<kRows> integers;
    integers.Clear();
    Sums16<kRows> products;
    products.Clear();
    for (std::size_t line = 0; line < 4; ++line) {
      const std::byte* bytes = unit + Layout::kNibbles + 64 * line;
      const __m256i five[2] = {
          _mm256_or_si256(LowNibbles(Load(bytes)), FifthBit(bits[0], line)),
          _mm256_or_si256(LowNibbles(Load(bytes + 32)), FifthBit(bits[1], line))};
      products.Add(five, inputs, 4 * line);
    }
    integers.AddPairs(products);
    products.Clear();
    for (std::size_t line = 0; line < 4; ++line) {
      const std::byte* bytes = unit + Layout::kNibbles + 64 * line;
      const __m256i five[2] = {
          _mm256_or_si256(HighNibbles(Load(bytes)), FifthBit(bits[0], 4 + line)),
          _mm256_or_si256(HighNibbles(Load(bytes + 32)), FifthBit(bits[1], 4 + line))};
      products.Add(five, inputs, 16 + 4 * line);
    }
    integers.AddPairs(products);
    Finish<Layout, kOffset, kMinimum, kRows>(unit, inputs, integers, sums);
  }
};

// Eight bits: |w| times the input with w's sign; a pair (at most 2 * 128 * 127) just fits in 16
// bits.
struct EightBits {
  static constexpr std::size_t kValues = 32;
  static constexpr std::size_t kBytes = panels::Q80::kUnit;
  static constexpr std::size_t kInputBytes = sizeof(A8Group);

  template <std::size_t kRows>
  static void Add(const std::byte* unit, const std::byte* const* inputs, Sums<kRows>* sums) {
    Sums32<kRows> integers;
    integers.Clear();
    for (std::size_t line = 0; line < 8; ++line) {
      const std::byte* bytes = unit + panels::Q80::kBytes + 64 * line;
      for (std::size_t half = 0; half < 2; ++half) {
        const __m256i w = Load(bytes + 32 * half);
        const __m256i magnitude = _mm256_abs_epi8(w);
        for (std::size_t r = 0; r < kRows; ++r) {
          const __m256i x = _mm256_sign_epi8(BroadcastFour(Groups(inputs[r])->q + 4 * line), w);
          const __m256i pairs = WidenPairs(_mm256_maddubs_epi16(magnitude, x));
          integers.at[r][half] = _mm256_add_epi32(integers.at[r][half], pairs);
        }
      }
    }
    Finish<panels::Q80, 0, false, kRows>(unit, inputs, integers, sums);
  }
};

}  // namespace

void MatmulQ40Avx2(const MatmulArgs& args) { RunPanels<FourBits<panels::Q40, 8, false>>(args); }
void MatmulQ41Avx2(const MatmulArgs& args) { RunPanels<FourBits<panels::Q41, 0, true>>(args); }
void MatmulQ50Avx2(const MatmulArgs& args) { RunPanels<FiveBits<panels::Q50, 16, false>>(args); }
void MatmulQ51Avx2(const MatmulArgs& args) { RunPanels<FiveBits<panels::Q51, 0, true>>(args); }
void MatmulQ80Avx2(const MatmulArgs& args) { RunPanels<EightBits>(args); }

}  // namespace bramble::kernels::x86
