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

template <std::size_t kRows>
void Advance(const std::byte** inputs) {
  for (std::size_t r = 0; r < kRows; ++r) inputs[r] += sizeof(A8Group);
}

// Walks the groups of a unit; AddGroup(unit, group, inputs of the group, sums).
template <typename Unit, std::size_t kRows>
void AddGroups(const std::byte* unit, const std::byte* const* unit_inputs, Sums<kRows>* sums) {
  const std::byte* inputs[kRows];
  for (std::size_t r = 0; r < kRows; ++r) inputs[r] = unit_inputs[r];
  for (std::size_t g = 0; g < kGroups; ++g) {
    Unit::template AddGroup<kRows>(unit, g, inputs, sums);
    Advance<kRows>(inputs);
  }
}

template <typename Derived, std::size_t kUnitBytes>
struct SuperBlock {
  static constexpr std::size_t kValues = 256;
  static constexpr std::size_t kBytes = kUnitBytes;
  static constexpr std::size_t kInputBytes = kGroups * sizeof(A8Group);

  template <std::size_t kRows>
  static void Add(const std::byte* unit, const std::byte* const* inputs, Sums<kRows>* sums) {
    AddGroups<Derived, kRows>(unit, inputs, sums);
  }
};

// Bits 4 (g % 2) .. + 3 of each byte.
inline __m256i NibbleOf(__m256i bytes, std::size_t g) {
  return LowNibbles(_mm256_srl_epi16(bytes, _mm_cvtsi32_si128(static_cast<int>(4 * (g % 2)))));
}

// `bits` shifted left by `to - from` (right if negative).
inline __m256i Move(__m256i bytes, std::size_t from, std::size_t to, char mask) {
  const auto left = static_cast<int>(to > from ? to - from : 0);
  const auto right = static_cast<int>(from > to ? from - to : 0);
  const __m256i moved =
      _mm256_srl_epi16(_mm256_sll_epi16(bytes, _mm_cvtsi32_si128(left)), _mm_cvtsi32_si128(right));
  return _mm256_and_si256(moved, _mm256_set1_epi8(mask));
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

struct UnitQ4_K : SuperBlock<UnitQ4_K, panels::Q4_K::kUnit> {
  using Layout = panels::Q4_K;
  template <std::size_t kRows>
  static void AddGroup(const std::byte* unit, std::size_t g, const std::byte* const* inputs,
                       Sums<kRows>* sums) {
    Sums16<kRows> products;
    products.Clear();
    const std::byte* lines = unit + Layout::kNibbles + 512 * (g / 2);
    for (std::size_t line = 0; line < 8; ++line) {
      const __m256i four[2] = {NibbleOf(Load(lines + 64 * line), g),
                               NibbleOf(Load(lines + 64 * line + 32), g)};
      products.Add(four, inputs, 4 * line);
    }
    const std::byte* both = unit + Layout::kPairs + 32 * g;
    const __m256i pairs[2] = {UnsignedPairs(both), UnsignedPairs(both + 16)};
    const __m256i scales[2] = {FirstTwice(pairs[0]), FirstTwice(pairs[1])};
    Sums32<kRows> integers;
    integers.Clear();
    integers.AddScaledPairs(products, scales);
    AddScaled<kRows>(unit + Layout::kScales, inputs, integers, sums);
    AddMinima<kRows>(unit + Layout::kMinima, pairs, inputs, sums);
  }
};

struct UnitQ5_K : SuperBlock<UnitQ5_K, panels::Q5_K::kUnit> {
  using Layout = panels::Q5_K;
  template <std::size_t kRows>
  static void AddGroup(const std::byte* unit, std::size_t g, const std::byte* const* inputs,
                       Sums<kRows>* sums) {
    const std::byte* both = unit + Layout::kPairs + 32 * g;
    const __m256i pairs[2] = {UnsignedPairs(both), UnsignedPairs(both + 16)};
    const __m256i scales[2] = {FirstTwice(pairs[0]), FirstTwice(pairs[1])};
    const std::byte* lines = unit + Layout::kNibbles + 512 * (g / 2);
    const std::byte* bits = unit + Layout::kHigh;
    Sums32<kRows> integers;
    integers.Clear();
    for (std::size_t part = 0; part < 2; ++part) {  // 16 bits hold four lines
      Sums16<kRows> products;
      products.Clear();
      for (std::size_t line = 4 * part; line < 4 * part + 4; ++line) {
        const std::size_t at = 64 * line;
        const __m256i five[2] = {
            _mm256_or_si256(NibbleOf(Load(lines + at), g), Move(Load(bits + at), g, 4, 16)),
            _mm256_or_si256(NibbleOf(Load(lines + at + 32), g),
                            Move(Load(bits + at + 32), g, 4, 16))};
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

struct UnitQ6_K : SuperBlock<UnitQ6_K, panels::Q6_K::kUnit> {
  using Layout = panels::Q6_K;
  template <std::size_t kRows>
  static void AddGroup(const std::byte* unit, std::size_t g, const std::byte* const* inputs,
                       Sums<kRows>* sums) {
    const std::byte* both = unit + Layout::kPairs + 32 * g;
    const __m256i pairs[2] = {SignedPairs(both), SignedPairs(both + 16)};
    const __m256i scales[2][2] = {{FirstTwice(pairs[0]), FirstTwice(pairs[1])},
                                  {SecondTwice(pairs[0]), SecondTwice(pairs[1])}};
    // Four groups share 16 lines of nibbles and 8 of high bits.
    const std::byte* lines = unit + Layout::kNibbles + 1024 * (g / 4) + 512 * (g % 2);
    const std::byte* bits = unit + Layout::kHigh + 512 * (g / 4);
    const std::size_t quarter = g % 4;
    Sums32<kRows> integers;
    integers.Clear();
    for (std::size_t part = 0; part < 4; ++part) {  // 16 bits hold two lines: 2 * 2 * 63 * 127
      Sums16<kRows> products;
      products.Clear();
      for (std::size_t line = 2 * part; line < 2 * part + 2; ++line) {
        const std::size_t at = 64 * line;
        const __m256i six[2] = {_mm256_or_si256(NibbleOf(Load(lines + at), quarter / 2),
                                                Move(Load(bits + at), 2 * quarter, 4, 48)),
                                _mm256_or_si256(NibbleOf(Load(lines + at + 32), quarter / 2),
                                                Move(Load(bits + at + 32), 2 * quarter, 4, 48))};
        products.Add(six, inputs, 4 * line);
      }
      integers.AddScaledPairs(products, scales[part / 2]);
    }
    SubtractOffset<5, kRows>(pairs, inputs, &integers);
    AddScaled<kRows>(unit + Layout::kScales, inputs, integers, sums);
  }
};

struct UnitQ3_K : SuperBlock<UnitQ3_K, panels::Q3_K::kUnit> {
  using Layout = panels::Q3_K;
  template <std::size_t kRows>
  static void AddGroup(const std::byte* unit, std::size_t g, const std::byte* const* inputs,
                       Sums<kRows>* sums) {
    const std::byte* both = unit + Layout::kPairs + 32 * g;
    const __m256i pairs[2] = {SignedPairs(both), SignedPairs(both + 16)};
    const __m256i scales[2][2] = {{FirstTwice(pairs[0]), FirstTwice(pairs[1])},
                                  {SecondTwice(pairs[0]), SecondTwice(pairs[1])}};
    const std::byte* lines = unit + Layout::kTwos + 512 * (g / 4);
    const std::byte* bits = unit + Layout::kHigh;
    Sums32<kRows> integers;
    integers.Clear();
    for (std::size_t part = 0; part < 2; ++part) {
      Sums16<kRows> products;
      products.Clear();
      for (std::size_t line = 4 * part; line < 4 * part + 4; ++line) {
        const std::size_t at = 64 * line;
        const __m256i three[2] = {_mm256_or_si256(Move(Load(lines + at), 2 * (g % 4), 0, 3),
                                                  Move(Load(bits + at), g, 2, 4)),
                                  _mm256_or_si256(Move(Load(lines + at + 32), 2 * (g % 4), 0, 3),
                                                  Move(Load(bits + at + 32), g, 2, 4))};
        products.Add(three, inputs, 4 * line);
      }
      integers.AddScaledPairs(products, scales[part]);
    }
    SubtractOffset<2, kRows>(pairs, inputs, &integers);
    AddScaled<kRows>(unit + Layout::kScales, inputs, integers, sums);
  }
};

struct UnitQ2_K : SuperBlock<UnitQ2_K, panels::Q2_K::kUnit> {
  using Layout = panels::Q2_K;
  template <std::size_t kRows>
  static void AddGroup(const std::byte* unit, std::size_t g, const std::byte* const* inputs,
                       Sums<kRows>* sums) {
    const std::byte* both = unit + Layout::kPairs + 32 * g;
    const __m256i pairs[2] = {UnsignedPairs(both), UnsignedPairs(both + 16)};
    const std::byte* lines = unit + Layout::kTwos + 512 * (g / 4);
    Sums32<kRows> integers;
    integers.Clear();
    for (std::size_t part = 0; part < 2; ++part) {
      Sums16<kRows> products;
      products.Clear();
      for (std::size_t line = 4 * part; line < 4 * part + 4; ++line) {
        const __m256i two[2] = {Move(Load(lines + 64 * line), 2 * (g % 4), 0, 3),
                                Move(Load(lines + 64 * line + 32), 2 * (g % 4), 0, 3)};
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

void MatmulQ2_KAvx2(const MatmulArgs& args) { RunPanels<UnitQ2_K>(args); }
void MatmulQ3_KAvx2(const MatmulArgs& args) { RunPanels<UnitQ3_K>(args); }
void MatmulQ4_KAvx2(const MatmulArgs& args) { RunPanels<UnitQ4_K>(args); }
void MatmulQ5_KAvx2(const MatmulArgs& args) { RunPanels<UnitQ5_K>(args); }
void MatmulQ6_KAvx2(const MatmulArgs& args) { RunPanels<UnitQ6_K>(args); }

}  // namespace bramble::kernels::x86
