// Products with super-blocks of 256 values. Each group of 32 has one integer sum, in which the
// integer scales are already multiplied (madd of 16-bit sums and scales); then come the float
// operations of docs/arithmetic.md.
#include "kernels/panels/layouts.h"
#include "kernels/x86/kernels.h"
#include "kernels/x86/matmul_tile_avx2.h"

namespace bramble::kernels::x86 {
namespace {

constexpr std::size_t kGroups = 8;

// The pair of bytes (first, second) of one group for 8 rows, as 16-bit numbers.
inline __m256i SignedPairs(const std::byte* p) {
  return _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
inline __m256i UnsignedPairs(const std::byte* p) {
  return _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}

// (first, first) and (second, second) of each pair.
inline __m256i FirstTwice(__m256i pairs) {
  return _mm256_or_si256(_mm256_and_si256(pairs, _mm256_set1_epi32(0xffff)),
                         _mm256_slli_epi32(pairs, 16));
}
inline __m256i SecondTwice(__m256i pairs) {
  return _mm256_blend_epi16(_mm256_srli_epi32(pairs, 16), pairs, 0xaa);
}

// The inputs' two half sums, in each lane.
inline __m256i HalfSums(const A8Group& input) {
  int both = 0;
  __builtin_memcpy(&both, input.half_sums, sizeof(both));
  return _mm256_set1_epi32(both);
}

// sums += float(integers) * (scale * the input's scale); `unit` begins with the 16 scales.
template <std::size_t kRows>
void AddScaled(const std::byte* scales, const std::byte* const* inputs,
               const Sums32<kRows>& integers, Sums<kRows>* sums) {
  for (std::size_t half = 0; half < 2; ++half) {
    const __m256 scale = LoadHalves(scales + 16 * half);
    for (std::size_t r = 0; r < kRows; ++r) {
      const __m256 factor = _mm256_mul_ps(scale, _mm256_set1_ps(Groups(inputs[r])->scale));
      sums->at[r][half] =
          _mm256_fmadd_ps(factor, _mm256_cvtepi32_ps(integers.at[r][half]), sums->at[r][half]);
    }
  }
}

// -dmin * minimum for 8 rows, exact.
inline __m256 Minima(const std::byte* minima, __m256i integers) {
  const __m256 negative = _mm256_xor_ps(LoadHalves(minima), _mm256_set1_ps(-0.0F));
  return _mm256_mul_ps(negative, _mm256_cvtepi32_ps(integers));
}

// A unit is eight groups, each compiled for its place: Derived::AddGroup<group, kRows>(unit, inputs
// of the group, sums).
template <typename Derived, std::size_t kUnitBytes>
struct SuperBlock {
  static constexpr std::size_t kValues = 256;
  static constexpr std::size_t kBytes = kUnitBytes;
  static constexpr std::size_t kInputBytes = kGroups * sizeof(A8Group);

  template <std::size_t kRows>
  static void Add(const std::byte* unit, const std::byte* const* inputs, Sums<kRows>* sums) {
    AddFrom<0, kRows>(unit, inputs, sums);
  }

 private:
  template <std::size_t kGroup, std::size_t kRows>
  static void AddFrom(const std::byte* unit, const std::byte* const* inputs, Sums<kRows>* sums) {
    const std::byte* group_inputs[kRows];
    for (std::size_t r = 0; r < kRows; ++r) group_inputs[r] = inputs[r] + kGroup * sizeof(A8Group);
    Derived::template AddGroup<kGroup, kRows>(unit, group_inputs, sums);
    if constexpr (kGroup + 1 < kGroups) AddFrom<kGroup + 1, kRows>(unit, inputs, sums);
  }
};

// The low or the high nibble of each byte.
template <bool kHigh>
__m256i Nibble(__m256i bytes) {
  return kHigh ? HighNibbles(bytes) : LowNibbles(bytes);
}

// The minimum's term of Q4_K and Q5_K; pairs are (scale, minimum).
template <std::size_t kRows>
void AddMinima(const std::byte* minima, const __m256i (&pairs)[2], const std::byte* const* inputs,
               Sums<kRows>* sums) {
  for (std::size_t half = 0; half < 2; ++half) {
    const __m256 minimum = Minima(minima + 16 * half, _mm256_srli_epi32(pairs[half], 16));
    for (std::size_t r = 0; r < kRows; ++r) {
      sums->at[r][half] = _mm256_fmadd_ps(minimum, _mm256_set1_ps(Groups(inputs[r])->scaled_sum),
                                          sums->at[r][half]);
    }
  }
}

struct UnitQ4K : SuperBlock<UnitQ4K, panels::Q4K::kUnit> {
  using Layout = panels::Q4K;
  template <std::size_t kGroup, std::size_t kRows>
  static void AddGroup(const std::byte* unit, const std::byte* const* inputs, Sums<kRows>* sums) {
    Sums16<kRows> products;
    products.Clear();
    const std::byte* lines = unit + Layout::kNibbles + 512 * (kGroup / 2);
    for (std::size_t line = 0; line < 8; ++line) {
      const __m256i four[2] = {Nibble<kGroup % 2 != 0>(Load(lines + 64 * line)),
                               Nibble<kGroup % 2 != 0>(Load(lines + 64 * line + 32))};
      products.Add(four, inputs, 4 * line);
    }
    const std::byte* both = unit + Layout::kPairs + 32 * kGroup;
    const __m256i pairs[2] = {UnsignedPairs(both), UnsignedPairs(both + 16)};
    const __m256i scales[2] = {FirstTwice(pairs[0]), FirstTwice(pairs[1])};
    Sums32<kRows> integers;
    integers.Clear();
    integers.AddScaledPairs(products, scales);
    AddScaled<kRows>(unit + Layout::kScales, inputs, integers, sums);
    AddMinima<kRows>(unit + Layout::kMinima, pairs, inputs, sums);
  }
};

struct UnitQ5K : SuperBlock<UnitQ5K, panels::Q5K::kUnit> {
  using Layout = panels::Q5K;
  template <std::size_t kGroup, std::size_t kRows>
  static void AddGroup(const std::byte* unit, const std::byte* const* inputs, Sums<kRows>* sums) {
    const std::byte* both = unit + Layout::kPairs + 32 * kGroup;
    const __m256i pairs[2] = {UnsignedPairs(both), UnsignedPairs(both + 16)};
    const __m256i scales[2] = {FirstTwice(pairs[0]), FirstTwice(pairs[1])};
    const std::byte* lines = unit + Layout::kNibbles + 512 * (kGroup / 2);
    const std::byte* bits = unit + Layout::kHigh;
    Sums32<kRows> integers;
    integers.Clear();
    for (std::size_t part = 0; part < 2; ++part) {  // 16 bits hold four lines
      Sums16<kRows> products;
      products.Clear();
      for (std::size_t line = 4 * part; line < 4 * part + 4; ++line) {
        const std::size_t at = 64 * line;
        const __m256i five[2] = {_mm256_or_si256(Nibble<kGroup % 2 != 0>(Load(lines + at)),
                                                 MoveBits<kGroup, 4, 16>(Load(bits + at))),
                                 _mm256_or_si256(Nibble<kGroup % 2 != 0>(Load(lines + at + 32)),
                                                 MoveBits<kGroup, 4, 16>(Load(bits + at + 32)))};
        products.Add(five, inputs, 4 * line);
      }
      integers.AddScaledPairs(products, scales);
    }
    AddScaled<kRows>(unit + Layout::kScales, inputs, integers, sums);
    AddMinima<kRows>(unit + Layout::kMinima, pairs, inputs, sums);
  }
};

// integers -= 2^kShift * (scales of the two halves) . (the input's half sums): the offset of the
// weights.
template <int kShift, std::size_t kRows>
void SubtractOffset(const __m256i (&pairs)[2], const std::byte* const* inputs,
                    Sums32<kRows>* integers) {
  for (std::size_t r = 0; r < kRows; ++r) {
    const __m256i half_sums = HalfSums(*Groups(inputs[r]));
    for (std::size_t half = 0; half < 2; ++half) {
      const __m256i offset = _mm256_slli_epi32(_mm256_madd_epi16(pairs[half], half_sums), kShift);
      integers->at[r][half] = _mm256_sub_epi32(integers->at[r][half], offset);
    }
  }
}

struct UnitQ6K : SuperBlock<UnitQ6K, panels::Q6K::kUnit> {
  using Layout = panels::Q6K;
  template <std::size_t kGroup, std::size_t kRows>
  static void AddGroup(const std::byte* unit, const std::byte* const* inputs, Sums<kRows>* sums) {
    const std::byte* both = unit + Layout::kPairs + 32 * kGroup;
    const __m256i pairs[2] = {SignedPairs(both), SignedPairs(both + 16)};
    const __m256i scales[2][2] = {{FirstTwice(pairs[0]), FirstTwice(pairs[1])},
                                  {SecondTwice(pairs[0]), SecondTwice(pairs[1])}};
    // Four groups share 16 lines of nibbles and 8 of high bits.
    const std::byte* lines = unit + Layout::kNibbles + 1024 * (kGroup / 4) + 512 * (kGroup % 2);
    const std::byte* bits = unit + Layout::kHigh + 512 * (kGroup / 4);
    constexpr std::size_t kQuarter = kGroup % 4;
    Sums32<kRows> integers;
    integers.Clear();
    for (std::size_t part = 0; part < 4; ++part) {  // 16 bits hold two lines: 2 * 2 * 63 * 127
      Sums16<kRows> products;
      products.Clear();
      for (std::size_t line = 2 * part; line < 2 * part + 2; ++line) {
        const std::size_t at = 64 * line;
        const __m256i six[2] = {
            _mm256_or_si256(Nibble<kQuarter / 2 != 0>(Load(lines + at)),
                            MoveBits<2 * kQuarter, 4, 48>(Load(bits + at))),
            _mm256_or_si256(Nibble<kQuarter / 2 != 0>(Load(lines + at + 32)),
                            MoveBits<2 * kQuarter, 4, 48>(Load(bits + at + 32)))};
        products.Add(six, inputs, 4 * line);
      }
      integers.AddScaledPairs(products, scales[part / 2]);
    }
    SubtractOffset<5, kRows>(pairs, inputs, &integers);
    AddScaled<kRows>(unit + Layout::kScales, inputs, integers, sums);
  }
};

struct UnitQ3K : SuperBlock<UnitQ3K, panels::Q3K::kUnit> {
  using Layout = panels::Q3K;
  template <std::size_t kGroup, std::size_t kRows>
  static void AddGroup(const std::byte* unit, const std::byte* const* inputs, Sums<kRows>* sums) {
    const std::byte* both = unit + Layout::kPairs + 32 * kGroup;
    const __m256i pairs[2] = {SignedPairs(both), SignedPairs(both + 16)};
    const __m256i scales[2][2] = {{FirstTwice(pairs[0]), FirstTwice(pairs[1])},
                                  {SecondTwice(pairs[0]), SecondTwice(pairs[1])}};
    const std::byte* lines = unit + Layout::kTwos + 512 * (kGroup / 4);
    const std::byte* bits = unit + Layout::kHigh;
    Sums32<kRows> integers;
    integers.Clear();
    for (std::size_t part = 0; part < 2; ++part) {
      Sums16<kRows> products;
      products.Clear();
      for (std::size_t line = 4 * part; line < 4 * part + 4; ++line) {
        const std::size_t at = 64 * line;
        const __m256i three[2] = {
            _mm256_or_si256(MoveBits<2 * (kGroup % 4), 0, 3>(Load(lines + at)),
                            MoveBits<kGroup, 2, 4>(Load(bits + at))),
            _mm256_or_si256(MoveBits<2 * (kGroup % 4), 0, 3>(Load(lines + at + 32)),
                            MoveBits<kGroup, 2, 4>(Load(bits + at + 32)))};
        products.Add(three, inputs, 4 * line);
      }
      integers.AddScaledPairs(products, scales[part]);
    }
    SubtractOffset<2, kRows>(pairs, inputs, &integers);
    AddScaled<kRows>(unit + Layout::kScales, inputs, integers, sums);
  }
};

struct UnitQ2K : SuperBlock<UnitQ2K, panels::Q2K::kUnit> {
  using Layout = panels::Q2K;
  template <std::size_t kGroup, std::size_t kRows>
  static void AddGroup(const std::byte* unit, const std::byte* const* inputs, Sums<kRows>* sums) {
    const std::byte* both = unit + Layout::kPairs + 32 * kGroup;
    const __m256i pairs[2] = {UnsignedPairs(both), UnsignedPairs(both + 16)};
    const std::byte* lines = unit + Layout::kTwos + 512 * (kGroup / 4);
    Sums32<kRows> integers;
    integers.Clear();
    for (std::size_t part = 0; part < 2; ++part) {
      Sums16<kRows> products;
      products.Clear();
      for (std::size_t line = 4 * part; line < 4 * part + 4; ++line) {
        const __m256i two[2] = {MoveBits<2 * (kGroup % 4), 0, 3>(Load(lines + 64 * line)),
                                MoveBits<2 * (kGroup % 4), 0, 3>(Load(lines + 64 * line + 32))};
        products.Add(two, inputs, 4 * line);
      }
      const __m256i low[2] = {LowNibbles(pairs[0]), LowNibbles(pairs[1])};
      const __m256i scales[2] = {part == 0 ? FirstTwice(low[0]) : SecondTwice(low[0]),
                                 part == 0 ? FirstTwice(low[1]) : SecondTwice(low[1])};
      integers.AddScaledPairs(products, scales);
    }
    AddScaled<kRows>(unit + Layout::kScales, inputs, integers, sums);
    AddTwoMinima<kRows>(unit + Layout::kMinima, pairs, inputs, sums);
  }

  // A minimum for each half of the group, times the input's scale * that half's sum.
  template <std::size_t kRows>
  static void AddTwoMinima(const std::byte* minima, const __m256i (&pairs)[2],
                           const std::byte* const* inputs, Sums<kRows>* sums) {
    for (std::size_t half = 0; half < 2; ++half) {
      const __m256i nibbles = HighNibbles(pairs[half]);
      const __m256 first =
          Minima(minima + 16 * half, _mm256_and_si256(nibbles, _mm256_set1_epi32(0xffff)));
      const __m256 second = Minima(minima + 16 * half, _mm256_srli_epi32(nibbles, 16));
      for (std::size_t r = 0; r < kRows; ++r) {
        const A8Group& input = *Groups(inputs[r]);
        const float t0 = input.scale * static_cast<float>(input.half_sums[0]);
        const float t1 = input.scale * static_cast<float>(input.half_sums[1]);
        const __m256 sum = _mm256_fmadd_ps(first, _mm256_set1_ps(t0), sums->at[r][half]);
        sums->at[r][half] = _mm256_fmadd_ps(second, _mm256_set1_ps(t1), sum);
      }
    }
  }
};

}  // namespace

void MatmulQ2KAvx2(const MatmulArgs& args) { RunPanels<UnitQ2K>(args); }
void MatmulQ3KAvx2(const MatmulArgs& args) { RunPanels<UnitQ3K>(args); }
void MatmulQ4KAvx2(const MatmulArgs& args) { RunPanels<UnitQ4K>(args); }
void MatmulQ5KAvx2(const MatmulArgs& args) { RunPanels<UnitQ5K>(args); }
void MatmulQ6KAvx2(const MatmulArgs& args) { RunPanels<UnitQ6K>(args); }

}  // namespace bramble::kernels::x86
