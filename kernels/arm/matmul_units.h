// The units of a panel, block by block: how weights become bytes, and the float operations of
// docs/arithmetic.md. What adds the products of bytes is a parameter, a template
//
//   template <int kLargest, std::size_t kEights, std::size_t kRows, std::size_t kRegisters> struct
//   Products {
//     void Start(const std::int32_t (&minus)[kRows]);
//     template <std::size_t kEight>
//     void Add(const int8x16_t (&first)[kRegisters], const int8x16_t (&second)[kRegisters], const
//     std::byte* const* inputs); void Finish(int32x4_t (&sums)[kRows][kRegisters]) const;
//   };
//
// for the sums of kRows input rows and 4 kRegisters outputs. Start begins at -minus[r]. Add adds
// eight inputs, those at 8 kEight of the groups at `inputs`: byte 4 o + b of first[i] is the weight
// of output 4 i + o and input b, of second[i] of input 4 + b; no weight is larger than kLargest,
// and there are at most kEights calls. The sums are integers, so their order is free.
//
// Internal linkage: files with further instruction-set flags include this.
#pragma once

#include "kernels/arm/matmul_tile.h"
#include "kernels/panels/layouts.h"

namespace bramble::kernels::arm {
namespace {

inline const A8Group& GroupAt(const std::byte* input) {
  return *reinterpret_cast<const A8Group*>(input);
}

// Takes from the compiler what it knows about a pointer: what was read through it before is read
// again, which is cheaper than to keep more than 32 registers can hold.
inline void Forget(const std::byte*& pointer) { asm("" : "+r"(pointer)); }

// `number`, but the compiler can't know it, and so does not write out a loop of so many turns: half
// as much code, and fewer values that it would keep from one turn for the next.
inline std::size_t Unknown(std::size_t number) {
  asm("" : "+r"(number));
  return number;
}

inline uint8x16_t Load(const std::byte* p) {
  return vld1q_u8(reinterpret_cast<const std::uint8_t*>(p));
}

// The bits that begin at bit kFrom of each byte, moved to begin at bit kTo; the others are
// anything.
template <int kFrom, int kTo>
[[gnu::always_inline]] inline uint8x16_t MoveBits(uint8x16_t bytes) {
  if constexpr (kTo > kFrom) return vshlq_n_u8(bytes, kTo - kFrom);
  if constexpr (kFrom > kTo) return vshrq_n_u8(bytes, kFrom - kTo);
  return bytes;
}

// The kBits bits from bit kFrom of each byte on, as a number.
template <int kFrom, int kBits>
[[gnu::always_inline]] inline uint8x16_t TakeBits(uint8x16_t bytes) {
  const uint8x16_t moved = MoveBits<kFrom, 0>(bytes);
  if constexpr (kFrom + kBits == 8) return moved;
  return vandq_u8(moved, vdupq_n_u8((1U << kBits) - 1U));
}

// `low` with the bits of kMask, which begin at bit kTo, taken from bit kFrom of `high` on.
template <int kFrom, int kTo, std::uint8_t kMask>
[[gnu::always_inline]] inline uint8x16_t WithHighBits(uint8x16_t low, uint8x16_t high) {
  return vbslq_u8(vdupq_n_u8(kMask), MoveBits<kFrom, kTo>(high), low);
}

// `low` with the bit kBit, which is that of number `bit` in `high`.
template <std::uint8_t kBit>
[[gnu::always_inline]] inline uint8x16_t WithBitOf(uint8x16_t low, uint8x16_t high,
                                                   std::size_t bit) {
  const uint8x16_t all_or_none = vtstq_u8(high, vdupq_n_u8(static_cast<std::uint8_t>(1U << bit)));
  return vbslq_u8(vdupq_n_u8(kBit), all_or_none, low);
}

inline int8x16_t Signed(uint8x16_t bytes) { return vreinterpretq_s8_u8(bytes); }

// The sums of register kRegister, + the scaled integers: sum = fma(scale * the input's scale,
// float(integer), sum).
template <std::size_t kRows, std::size_t kCount>
[[gnu::always_inline]] inline void AddScaled(const std::byte* scales,
                                             const std::byte* const* inputs,
                                             const int32x4_t (&integers)[kRows][kCount],
                                             std::size_t first, Sums<kRows>* sums) {
  for (std::size_t i = 0; i < kCount; ++i) {
    const float32x4_t scale = LoadHalves(scales + 8 * (first + i));
    for (std::size_t r = 0; r < kRows; ++r) {
      const float32x4_t factor = vmulq_n_f32(scale, GroupAt(inputs[r]).scale);
      float32x4_t& sum = sums->at[r][first + i];
      sum = vfmaq_f32(sum, factor, vcvtq_f32_s32(integers[r][i]));
    }
  }
}

// sum = fma(minimum, the input's scaled sum, sum) for one register of outputs.
template <std::size_t kRows>
[[gnu::always_inline]] inline void AddMinimum(float32x4_t minimum, const std::byte* const* inputs,
                                              std::size_t i, Sums<kRows>* sums) {
  for (std::size_t r = 0; r < kRows; ++r) {
    sums->at[r][i] = vfmaq_f32(sums->at[r][i], minimum, vdupq_n_f32(GroupAt(inputs[r]).scaled_sum));
  }
}

// Blocks of 32 inputs of four, five or eight bits: weight = bits - kOffset, and a minimum where
// there is one.
template <template <int, std::size_t, std::size_t, std::size_t> typename Products, typename Layout,
          int kBits, int kOffset, bool kMinimum>
struct Block {
  static constexpr std::size_t kValues = 32;
  static constexpr std::size_t kBytes = Layout::kUnit;
  static constexpr std::size_t kInputBytes = sizeof(A8Group);
  static constexpr int kLargest = kBits == 4 ? 15 : (kBits == 5 ? 31 : 128);

  template <std::size_t kRows>
  [[gnu::always_inline]] static void Add(const std::byte* unit, const std::byte* const* inputs,
                                         Sums<kRows>* sums) {
    if constexpr (kRegisters<kRows> == 4) {
      AddOutputs<kRows>(unit, inputs, 0, sums);
    } else {
      const std::size_t end = Unknown(4);
      for (std::size_t first = 0; first < end; first += kRegisters<kRows>) {
        AddOutputs<kRows>(unit, inputs, first, sums);
      }
    }
  }

 private:
  // The weights of line kLine (inputs 4 kLine and on) of the outputs of register i.
  template <std::size_t kLine>
  [[gnu::always_inline]] static int8x16_t Weights(const std::byte* unit, std::size_t i) {
    if constexpr (kBits == 8) {
      return Signed(Load(unit + Layout::kBytes + 64 * kLine + 16 * i));
    } else {
      const uint8x16_t four =
          TakeBits<kLine / 4 * 4, 4>(Load(unit + Layout::kNibbles + 64 * (kLine % 4) + 16 * i));
      if constexpr (kBits == 4) {
        return Signed(four);
      } else {
        return Signed(WithHighBits<kLine, 4, 16>(four, Load(unit + Layout::kHigh + 16 * i)));
      }
    }
  }

  template <std::size_t kEight, std::size_t kRows, typename Sum>
  [[gnu::always_inline]] static void AddEight(const std::byte* unit, const std::byte* const* inputs,
                                              std::size_t first, Sum* products) {
    int8x16_t low[kRegisters<kRows>];
    int8x16_t high[kRegisters<kRows>];
    for (std::size_t i = 0; i < kRegisters<kRows>; ++i) {
      low[i] = Weights<2 * kEight>(unit, first + i);
      high[i] = Weights<2 * kEight + 1>(unit, first + i);
    }
    products->template Add<kEight>(low, high, inputs);
  }

  template <std::size_t kRows>
  [[gnu::always_inline]] static void AddOutputs(const std::byte* unit,
                                                const std::byte* const* inputs, std::size_t first,
                                                Sums<kRows>* sums) {
    std::int32_t minus[kRows];
    for (std::size_t r = 0; r < kRows; ++r) minus[r] = kOffset * GroupAt(inputs[r]).sum;
    Products<kLargest, 4, kRows, kRegisters<kRows>> products;
    products.Start(minus);
    // Both nibbles of a byte one after the other.
    AddEight<0, kRows>(unit, inputs, first, &products);
    AddEight<2, kRows>(unit, inputs, first, &products);
    AddEight<1, kRows>(unit, inputs, first, &products);
    AddEight<3, kRows>(unit, inputs, first, &products);
    int32x4_t integers[kRows][kRegisters<kRows>];
    products.Finish(integers);
    AddScaled(unit + Layout::kScales, inputs, integers, first, sums);
    if constexpr (kMinimum) {
      for (std::size_t i = first; i < first + kRegisters<kRows>; ++i) {
        AddMinimum(LoadHalves(unit + Layout::kMinima + 8 * i), inputs, i, sums);
      }
    }
  }
};

// What a super-block has beside its weights.
enum class SuperKind : std::uint8_t {
  kScaleAndMinimum,  // of each group: pairs of unsigned bytes
  kTwoScales,        // of each half of a group: pairs of signed bytes
  kTwoOfBoth,        // of each half: pairs of bytes, scale in the low, minimum in the high nibble
};

// Super-blocks. Each says how the weights of a group are found; they are stored as weight +
// kOffset. Groups that follow each other share bytes: kTurn = group % kTurns, known to the
// compiler, says which bits are a group's. `at` is where a register lies in the group's lines.
struct WeightsQ2K : panels::Q2K {
  static constexpr SuperKind kKind = SuperKind::kTwoOfBoth;
  static constexpr int kOffset = 0;
  static constexpr int kLargest = 3;
  static constexpr std::size_t kTurns = 4;
  template <std::size_t kTurn>
  [[gnu::always_inline]] static uint8x16_t Weights(const std::byte* unit, std::size_t group,
                                                   std::size_t at) {
    return TakeBits<2 * kTurn, 2>(Load(unit + kTwos + 512 * (group / 4) + at));
  }
};

struct WeightsQ3K : panels::Q3K {
  static constexpr SuperKind kKind = SuperKind::kTwoScales;
  static constexpr int kOffset = 4;
  static constexpr int kLargest = 7;
  static constexpr std::size_t kTurns = 4;
  template <std::size_t kTurn>
  [[gnu::always_inline]] static uint8x16_t Weights(const std::byte* unit, std::size_t group,
                                                   std::size_t at) {
    const uint8x16_t low = TakeBits<2 * kTurn, 2>(Load(unit + kTwos + 512 * (group / 4) + at));
    return WithBitOf<4>(low, Load(unit + kHigh + at), group);
  }
};

struct WeightsQ4K : panels::Q4K {
  static constexpr SuperKind kKind = SuperKind::kScaleAndMinimum;
  static constexpr int kOffset = 0;
  static constexpr int kLargest = 15;
  static constexpr std::size_t kTurns = 2;
  template <std::size_t kTurn>
  [[gnu::always_inline]] static uint8x16_t Weights(const std::byte* unit, std::size_t group,
                                                   std::size_t at) {
    return TakeBits<4 * kTurn, 4>(Load(unit + kNibbles + 512 * (group / 2) + at));
  }
};

struct WeightsQ5K : panels::Q5K {
  static constexpr SuperKind kKind = SuperKind::kScaleAndMinimum;
  static constexpr int kOffset = 0;
  static constexpr int kLargest = 31;
  static constexpr std::size_t kTurns = 2;
  template <std::size_t kTurn>
  [[gnu::always_inline]] static uint8x16_t Weights(const std::byte* unit, std::size_t group,
                                                   std::size_t at) {
    const uint8x16_t low = TakeBits<4 * kTurn, 4>(Load(unit + kNibbles + 512 * (group / 2) + at));
    return WithBitOf<16>(low, Load(unit + kHigh + at), group);
  }
};

struct WeightsQ6K : panels::Q6K {
  static constexpr SuperKind kKind = SuperKind::kTwoScales;
  static constexpr int kOffset = 32;
  static constexpr int kLargest = 63;
  static constexpr std::size_t kTurns = 4;
  template <std::size_t kTurn>
  [[gnu::always_inline]] static uint8x16_t Weights(const std::byte* unit, std::size_t group,
                                                   std::size_t at) {
    const std::byte* nibbles = unit + kNibbles + 1024 * (group / 4) + 512 * (kTurn % 2);
    const uint8x16_t low = TakeBits<4 * (kTurn / 2), 4>(Load(nibbles + at));
    const uint8x16_t high = Load(unit + kHigh + 512 * (group / 4) + at);
    return WithHighBits<2 * kTurn, 4, 48>(low, high);
  }
};

// The two bytes of each pair, as 32-bit numbers.
struct Pair {
  int32x4_t first;
  int32x4_t second;
};

template <SuperKind kKind>
[[gnu::always_inline]] inline Pair ScalesOf(int32x4_t pairs) {
  if constexpr (kKind == SuperKind::kTwoScales) {
    return {vshrq_n_s32(vshlq_n_s32(pairs, 24), 24), vshrq_n_s32(pairs, 8)};
  }
  const int32x4_t mask = vdupq_n_s32(kKind == SuperKind::kTwoOfBoth ? 15 : 255);
  return {vandq_s32(pairs, mask), vandq_s32(vshrq_n_s32(pairs, 8), mask)};
}

// -dmin * integers, exact.
inline float32x4_t MinimumOf(const std::byte* minima, int32x4_t integers) {
  return vmulq_f32(vnegq_f32(LoadHalves(minima)), vcvtq_f32_s32(integers));
}

template <template <int, std::size_t, std::size_t, std::size_t> typename Products, typename W>
struct SuperBlock {
  static constexpr std::size_t kValues = 256;
  static constexpr std::size_t kBytes = W::kUnit;
  static constexpr std::size_t kInputBytes = 8 * sizeof(A8Group);

  template <std::size_t kRows>
  [[gnu::always_inline]] static void Add(const std::byte* unit, const std::byte* const* inputs,
                                         Sums<kRows>* sums) {
    const std::byte* group_inputs[kRows];
    for (std::size_t r = 0; r < kRows; ++r) group_inputs[r] = inputs[r];
    const std::size_t end = Unknown(8);
    for (std::size_t group = 0; group < end; group += W::kTurns) {
      AddTurns<0, kRows>(unit, group, group_inputs, sums);
    }
  }

 private:
  template <std::size_t kTurn, std::size_t kEight, std::size_t kRows, typename Sum>
  [[gnu::always_inline]] static void AddEight(const std::byte* unit, std::size_t group,
                                              const std::byte* const* inputs, std::size_t first,
                                              Sum* products) {
    int8x16_t low[kRegisters<kRows>];
    int8x16_t high[kRegisters<kRows>];
    for (std::size_t i = 0; i < kRegisters<kRows>; ++i) {
      const std::size_t at = 128 * kEight + 16 * (first + i);
      low[i] = Signed(W::template Weights<kTurn>(unit, group, at));
      high[i] = Signed(W::template Weights<kTurn>(unit, group, at + 64));
    }
    products->template Add<kEight>(low, high, inputs);
  }

  // Sums over one half of a group.
  template <std::size_t kTurn, std::size_t kHalf, std::size_t kRows>
  [[gnu::always_inline]] static void HalfSums(const std::byte* unit, std::size_t group,
                                              const std::byte* const* inputs, std::size_t first,
                                              int32x4_t (&integers)[kRows][kRegisters<kRows>]) {
    std::int32_t minus[kRows];
    for (std::size_t r = 0; r < kRows; ++r) {
      minus[r] = W::kOffset * GroupAt(inputs[r]).half_sums[kHalf];
    }
    Products<W::kLargest, 2, kRows, kRegisters<kRows>> products;
    products.Start(minus);
    AddEight<kTurn, 2 * kHalf, kRows>(unit, group, inputs, first, &products);
    AddEight<kTurn, 2 * kHalf + 1, kRows>(unit, group, inputs, first, &products);
    products.Finish(integers);
  }

  template <std::size_t kTurn, std::size_t kRows>
  [[gnu::always_inline]] static void GroupSums(const std::byte* unit, std::size_t group,
                                               const std::byte* const* inputs, std::size_t first,
                                               int32x4_t (&integers)[kRows][kRegisters<kRows>]) {
    static_assert(W::kOffset == 0 || W::kKind != SuperKind::kScaleAndMinimum);
    Products<W::kLargest, 4, kRows, kRegisters<kRows>> products;
    products.Start({});
    AddEight<kTurn, 0, kRows>(unit, group, inputs, first, &products);
    AddEight<kTurn, 1, kRows>(unit, group, inputs, first, &products);
    AddEight<kTurn, 2, kRows>(unit, group, inputs, first, &products);
    AddEight<kTurn, 3, kRows>(unit, group, inputs, first, &products);
    products.Finish(integers);
  }

  // integers += the other's, each times its scale.
  template <std::size_t kRows>
  [[gnu::always_inline]] static void AddTimes(const int32x4_t (&scales)[kRegisters<kRows>],
                                              const int32x4_t (&other)[kRows][kRegisters<kRows>],
                                              int32x4_t (&integers)[kRows][kRegisters<kRows>]) {
    for (std::size_t r = 0; r < kRows; ++r) {
      for (std::size_t i = 0; i < kRegisters<kRows>; ++i) {
        integers[r][i] = vmlaq_s32(integers[r][i], other[r][i], scales[i]);
      }
    }
  }

  template <std::size_t kRows>
  [[gnu::always_inline]] static void Multiply(const int32x4_t (&scales)[kRegisters<kRows>],
                                              int32x4_t (&integers)[kRows][kRegisters<kRows>]) {
    for (std::size_t r = 0; r < kRows; ++r) {
      for (std::size_t i = 0; i < kRegisters<kRows>; ++i) {
        integers[r][i] = vmulq_s32(integers[r][i], scales[i]);
      }
    }
  }

  // Minima of the two halves, times the input's scale * that half's sum.
  template <std::size_t kRows>
  [[gnu::always_inline]] static void AddTwoMinima(const std::byte* minima, int32x4_t pairs,
                                                  const std::byte* const* inputs, std::size_t i,
                                                  Sums<kRows>* sums) {
    const int32x4_t mask = vdupq_n_s32(15);
    const float32x4_t first = MinimumOf(minima, vandq_s32(vshrq_n_s32(pairs, 4), mask));
    const float32x4_t second = MinimumOf(minima, vandq_s32(vshrq_n_s32(pairs, 12), mask));
    for (std::size_t r = 0; r < kRows; ++r) {
      const A8Group& input = GroupAt(inputs[r]);
      const float t0 = input.scale * static_cast<float>(input.half_sums[0]);
      const float t1 = input.scale * static_cast<float>(input.half_sums[1]);
      const float32x4_t sum = vfmaq_f32(sums->at[r][i], first, vdupq_n_f32(t0));
      sums->at[r][i] = vfmaq_f32(sum, second, vdupq_n_f32(t1));
    }
  }

  template <std::size_t kTurn, std::size_t kRows>
  [[gnu::always_inline]] static void AddOutputs(const std::byte* unit, std::size_t group,
                                                const std::byte* const* inputs, std::size_t first,
                                                Sums<kRows>* sums) {
    int32x4_t pairs[kRegisters<kRows>];
    int32x4_t scales[kRegisters<kRows>];
    int32x4_t second_scales[kRegisters<kRows>];
    for (std::size_t i = 0; i < kRegisters<kRows>; ++i) {
      const std::byte* at = unit + W::kPairs + 32 * group + 8 * (first + i);
      pairs[i] = vmovl_s16(vld1_s16(reinterpret_cast<const std::int16_t*>(at)));
      const Pair both = ScalesOf<W::kKind>(pairs[i]);
      scales[i] = both.first;
      second_scales[i] = both.second;
    }
    int32x4_t integers[kRows][kRegisters<kRows>];
    if constexpr (W::kKind == SuperKind::kScaleAndMinimum) {
      GroupSums<kTurn, kRows>(unit, group, inputs, first, integers);
      Multiply<kRows>(scales, integers);
    } else {
      HalfSums<kTurn, 0, kRows>(unit, group, inputs, first, integers);
      Multiply<kRows>(scales, integers);
      int32x4_t second[kRows][kRegisters<kRows>];
      HalfSums<kTurn, 1, kRows>(unit, group, inputs, first, second);
      AddTimes<kRows>(second_scales, second, integers);
    }
    AddScaled(unit + W::kScales, inputs, integers, first, sums);
    for (std::size_t i = 0; i < kRegisters<kRows>; ++i) {
      if constexpr (W::kKind == SuperKind::kScaleAndMinimum) {
        const float32x4_t minimum =
            MinimumOf(unit + W::kMinima + 8 * (first + i), second_scales[i]);
        AddMinimum(minimum, inputs, first + i, sums);
      }
      if constexpr (W::kKind == SuperKind::kTwoOfBoth) {
        AddTwoMinima(unit + W::kMinima + 8 * (first + i), pairs[i], inputs, first + i, sums);
      }
    }
  }

  // Groups `group` + kTurn and on, to the end of the turns; moves group_inputs with them.
  template <std::size_t kTurn, std::size_t kRows>
  [[gnu::always_inline]] static void AddTurns(const std::byte* unit, std::size_t group,
                                              const std::byte** group_inputs, Sums<kRows>* sums) {
    Forget(unit);
    if constexpr (kRegisters<kRows> == 4) {
      AddOutputs<kTurn, kRows>(unit, group + kTurn, group_inputs, 0, sums);
    } else {
      const std::size_t end = Unknown(4);
      for (std::size_t first = 0; first < end; first += kRegisters<kRows>) {
        AddOutputs<kTurn, kRows>(unit, group + kTurn, group_inputs, first, sums);
      }
    }
    for (std::size_t r = 0; r < kRows; ++r) group_inputs[r] += sizeof(A8Group);
    if constexpr (kTurn + 1 < W::kTurns)
      AddTurns<kTurn + 1, kRows>(unit, group, group_inputs, sums);
  }
};

}  // namespace
}  // namespace bramble::kernels::arm
