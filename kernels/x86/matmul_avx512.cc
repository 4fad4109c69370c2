// Products on panels with AVX-512 and VNNI: a line of a panel is one register of 16 outputs, and
// vpdpbusd adds four products of an unsigned and a signed byte to a 32-bit sum. Signed weights are
// shifted to be unsigned, and the shift times the sum of the inputs is subtracted: integers, so the
// sums are those of docs/arithmetic.md.
#include "kernels/panels/layouts.h"
#include "kernels/x86/kernels.h"
#include "kernels/x86/matmul_tile_avx512.h"

namespace bramble::kernels::x86 {
namespace {

template <std::size_t kRows>
void SubtractOffset(int offset, const std::byte* const* inputs, Integers<kRows>* integers) {
  for (std::size_t r = 0; r < kRows; ++r) {
    const __m512i shift = _mm512_set1_epi32(offset * GroupAt(inputs[r]).sum);
    integers->at[r] = _mm512_sub_epi32(integers->at[r], shift);
  }
}

// Blocks of 32: four, five or eight bits.
enum class Width : std::uint8_t { kFour, kFive, kEight };

template <typename Layout, Width kWidth, int kOffset, bool kMinimum>
struct Block {
  static constexpr std::size_t kValues = 32;
  static constexpr std::size_t kBytes = Layout::kUnit;
  static constexpr std::size_t kInputBytes = sizeof(A8Group);

  // The four weights of line kLine (inputs 4 kLine and on) of each output.
  template <std::size_t kLine>
  static __m512i Weights(const std::byte* unit) {
    if constexpr (kWidth == Width::kEight) {
      return _mm512_xor_si512(Load(unit + Layout::kBytes + 64 * kLine), _mm512_set1_epi8(-128));
    } else {
      constexpr std::size_t kFrom = kLine / 4 * 4;
      const __m512i four = MoveBits<kFrom, 0, 15>(Load(unit + Layout::kNibbles + 64 * (kLine % 4)));
      if constexpr (kWidth == Width::kFour) {
        return four;
      } else {
        return _mm512_or_si512(four, MoveBits<kLine, 4, 16>(Load(unit + Layout::kHigh)));
      }
    }
  }

  template <std::size_t kLine, std::size_t kRows>
  static void AddLines(const std::byte* unit, const std::byte* const* inputs,
                       Integers<kRows>* integers) {
    integers->Add(Weights<kLine>(unit), inputs, 4 * kLine);
    if constexpr (kLine < 7) AddLines<kLine + 1, kRows>(unit, inputs, integers);
  }

  template <std::size_t kRows>
  static void Add(const std::byte* unit, const std::byte* const* inputs, Sums<kRows>* sums) {
    Integers<kRows> integers;
    integers.Clear();
    AddLines<0, kRows>(unit, inputs, &integers);
    if constexpr (kOffset != 0) SubtractOffset<kRows>(kOffset, inputs, &integers);
    AddScaled<kRows>(LoadHalves(unit + Layout::kScales), inputs, integers, sums);
    if constexpr (kMinimum) AddMinimum<kRows>(LoadHalves(unit + Layout::kMinima), inputs, sums);
  }
};

// Super-blocks. Each says how the weights of a line of a group are found; kOffset is what makes
// them unsigned.
struct WeightsQ2K : panels::Q2K {
  static constexpr int kOffset = 0;
  template <std::size_t kGroup, std::size_t kLine>
  static __m512i Weights(const std::byte* unit) {
    return MoveBits<2 * (kGroup % 4), 0, 3>(Load(unit + kTwos + 512 * (kGroup / 4) + 64 * kLine));
  }
};

struct WeightsQ3K : panels::Q3K {
  static constexpr int kOffset = 4;
  template <std::size_t kGroup, std::size_t kLine>
  static __m512i Weights(const std::byte* unit) {
    const __m512i low =
        MoveBits<2 * (kGroup % 4), 0, 3>(Load(unit + kTwos + 512 * (kGroup / 4) + 64 * kLine));
    return _mm512_or_si512(low, MoveBits<kGroup, 2, 4>(Load(unit + kHigh + 64 * kLine)));
  }
};

struct WeightsQ4K : panels::Q4K {
  static constexpr int kOffset = 0;
  template <std::size_t kGroup, std::size_t kLine>
  static __m512i Weights(const std::byte* unit) {
    return MoveBits<4 * (kGroup % 2), 0, 15>(
        Load(unit + kNibbles + 512 * (kGroup / 2) + 64 * kLine));
  }
};

struct WeightsQ5K : panels::Q5K {
  static constexpr int kOffset = 0;
  template <std::size_t kGroup, std::size_t kLine>
  static __m512i Weights(const std::byte* unit) {
    const __m512i low =
        MoveBits<4 * (kGroup % 2), 0, 15>(Load(unit + kNibbles + 512 * (kGroup / 2) + 64 * kLine));
    return _mm512_or_si512(low, MoveBits<kGroup, 4, 16>(Load(unit + kHigh + 64 * kLine)));
  }
};

struct WeightsQ6K : panels::Q6K {
  static constexpr int kOffset = 32;
  template <std::size_t kGroup, std::size_t kLine>
  static __m512i Weights(const std::byte* unit) {
    const std::byte* low = unit + kNibbles + 1024 * (kGroup / 4) + 512 * (kGroup % 2);
    const std::byte* high = unit + kHigh + 512 * (kGroup / 4);
    return _mm512_or_si512(MoveBits<4 * (kGroup % 4 / 2), 0, 15>(Load(low + 64 * kLine)),
                           MoveBits<2 * (kGroup % 4), 4, 48>(Load(high + 64 * kLine)));
  }
};

// The two bytes of each pair of a group, as 32-bit numbers.
inline __m512i PairsOf(const std::byte* unit_pairs, std::size_t group) {
  return _mm512_cvtepi16_epi32(
      _mm256_loadu_si256(reinterpret_cast<const __m256i*>(unit_pairs + 32 * group)));
}
inline __m512i UnsignedByte(__m512i pairs, unsigned shift) {
  return _mm512_and_si512(_mm512_srli_epi32(pairs, shift), _mm512_set1_epi32(255));
}
inline __m512i SignedByte(__m512i pairs, unsigned shift) {
  return _mm512_srai_epi32(_mm512_slli_epi32(pairs, 24 - shift), 24);
}

// -dmin * minimum, exact.
inline __m512 MinimumOf(const std::byte* minima, __m512i integers) {
  const __m512i sign = _mm512_set1_epi32(static_cast<int>(0x80000000U));
  const __m512i negative = _mm512_xor_si512(_mm512_castps_si512(LoadHalves(minima)), sign);
  return _mm512_mul_ps(_mm512_castsi512_ps(negative), _mm512_cvtepi32_ps(integers));
}

template <typename W>
struct SuperBlock {
  static constexpr std::size_t kValues = 256;
  static constexpr std::size_t kBytes = W::kUnit;
  static constexpr std::size_t kInputBytes = 8 * sizeof(A8Group);
  // Q4_K and Q5_K: one scale and one minimum a group. The others: a scale for each half.
  static constexpr bool kOneScale =
      W::kUnit == panels::Q4K::kUnit || W::kUnit == panels::Q5K::kUnit;
  static constexpr bool kTwoMinima = W::kUnit == panels::Q2K::kUnit;

  template <std::size_t kRows>
  static void Add(const std::byte* unit, const std::byte* const* inputs, Sums<kRows>* sums) {
    AddFrom<0, kRows>(unit, inputs, sums);
  }

 private:
  template <std::size_t kGroup, std::size_t kLine, std::size_t kEnd, std::size_t kRows>
  static void AddLines(const std::byte* unit, const std::byte* const* inputs,
                       Integers<kRows>* integers) {
    integers->Add(W::template Weights<kGroup, kLine>(unit), inputs, 4 * kLine);
    if constexpr (kLine + 1 < kEnd) {
      AddLines<kGroup, kLine + 1, kEnd, kRows>(unit, inputs, integers);
    }
  }

  // integers = scales * (integers - offset * the half's sum of inputs)
  template <std::size_t kRows>
  static void Scale(__m512i scales, std::size_t half, const std::byte* const* inputs,
                    Integers<kRows>* integers) {
    for (std::size_t r = 0; r < kRows; ++r) {
      if constexpr (W::kOffset != 0) {
        const int shift = W::kOffset * GroupAt(inputs[r]).half_sums[half];
        integers->at[r] = _mm512_sub_epi32(integers->at[r], _mm512_set1_epi32(shift));
      }
      integers->at[r] = _mm512_mullo_epi32(integers->at[r], scales);
    }
  }

  template <std::size_t kRows>
  static void AddTwoMinima(const std::byte* minima, __m512i pairs, const std::byte* const* inputs,
                           Sums<kRows>* sums) {
    for (std::size_t half = 0; half < 2; ++half) {
      const __m512i nibble = _mm512_srli_epi32(UnsignedByte(pairs, half == 0 ? 0 : 8), 4);
      const __m512 minimum = MinimumOf(minima, nibble);
      for (std::size_t r = 0; r < kRows; ++r) {
        const A8Group& input = GroupAt(inputs[r]);
        const float t = input.scale * static_cast<float>(input.half_sums[half]);
        sums->at[r] = _mm512_fmadd_ps(minimum, _mm512_set1_ps(t), sums->at[r]);
      }
    }
  }

  template <std::size_t kGroup, std::size_t kRows>
  static void AddGroup(const std::byte* unit, const std::byte* const* inputs, Sums<kRows>* sums) {
    const __m512i pairs = PairsOf(unit + W::kPairs, kGroup);
    Integers<kRows> first;
    first.Clear();
    if constexpr (kOneScale) {
      AddLines<kGroup, 0, 8, kRows>(unit, inputs, &first);
      Scale<kRows>(UnsignedByte(pairs, 0), 0, inputs, &first);
      AddScaled<kRows>(LoadHalves(unit + W::kScales), inputs, first, sums);
      AddMinimum<kRows>(MinimumOf(unit + W::kMinima, UnsignedByte(pairs, 8)), inputs, sums);
    } else {
      Integers<kRows> second;
      second.Clear();
      AddLines<kGroup, 0, 4, kRows>(unit, inputs, &first);
      AddLines<kGroup, 4, 8, kRows>(unit, inputs, &second);
      const __m512i nibbles = _mm512_and_si512(pairs, _mm512_set1_epi8(15));
      Scale<kRows>(kTwoMinima ? UnsignedByte(nibbles, 0) : SignedByte(pairs, 0), 0, inputs, &first);
      Scale<kRows>(kTwoMinima ? UnsignedByte(nibbles, 8) : SignedByte(pairs, 8), 1, inputs,
                   &second);
      for (std::size_t r = 0; r < kRows; ++r) {
        first.at[r] = _mm512_add_epi32(first.at[r], second.at[r]);
      }
      AddScaled<kRows>(LoadHalves(unit + W::kScales), inputs, first, sums);
      if constexpr (kTwoMinima) AddTwoMinima<kRows>(unit + W::kMinima, pairs, inputs, sums);
    }
  }

  template <std::size_t kGroup, std::size_t kRows>
  static void AddFrom(const std::byte* unit, const std::byte* const* inputs, Sums<kRows>* sums) {
    const std::byte* group_inputs[kRows];
    for (std::size_t r = 0; r < kRows; ++r) group_inputs[r] = inputs[r] + kGroup * sizeof(A8Group);
    AddGroup<kGroup, kRows>(unit, group_inputs, sums);
    if constexpr (kGroup < 7) AddFrom<kGroup + 1, kRows>(unit, inputs, sums);
  }
};

}  // namespace

void MatmulQ40Avx512(const MatmulArgs& args) {
  RunPanels<Block<panels::Q40, Width::kFour, 8, false>>(args);
}
void MatmulQ41Avx512(const MatmulArgs& args) {
  RunPanels<Block<panels::Q41, Width::kFour, 0, true>>(args);
}
void MatmulQ50Avx512(const MatmulArgs& args) {
  RunPanels<Block<panels::Q50, Width::kFive, 16, false>>(args);
}
void MatmulQ51Avx512(const MatmulArgs& args) {
  RunPanels<Block<panels::Q51, Width::kFive, 0, true>>(args);
}
void MatmulQ80Avx512(const MatmulArgs& args) {
  RunPanels<Block<panels::Q80, Width::kEight, 128, false>>(args);
}
void MatmulQ2KAvx512(const MatmulArgs& args) { RunPanels<SuperBlock<WeightsQ2K>>(args); }
void MatmulQ3KAvx512(const MatmulArgs& args) { RunPanels<SuperBlock<WeightsQ3K>>(args); }
void MatmulQ4KAvx512(const MatmulArgs& args) { RunPanels<SuperBlock<WeightsQ4K>>(args); }
void MatmulQ5KAvx512(const MatmulArgs& args) { RunPanels<SuperBlock<WeightsQ5K>>(args); }
void MatmulQ6KAvx512(const MatmulArgs& args) { RunPanels<SuperBlock<WeightsQ6K>>(args); }

}  // namespace bramble::kernels::x86
