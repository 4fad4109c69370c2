// Units of codebooks of 16 with 8-bit inputs, over the `Products` of matmul_units.h. An entry is a
// whole number of 15 bits, kept as two bytes that TBL looks up: 128 * high + low, high signed.
// Internal linkage: files with further instruction-set flags include this.
#pragma once

#include "kernels/arm/matmul_units.h"
#include "kernels/encodings/float_codebooks.h"

namespace bramble::kernels::arm {
namespace {

struct Planes {
  std::int8_t high[16];  // -64 .. 63
  std::int8_t low[16];   // 0 .. 127
};

constexpr Planes PlanesOf(const std::int16_t (&wholes)[16]) {
  Planes planes{};
  for (std::size_t i = 0; i < 16; ++i) {
    planes.high[i] = static_cast<std::int8_t>(wholes[i] >> 7);
    planes.low[i] = static_cast<std::int8_t>(wholes[i] & 127);
  }
  return planes;
}

constexpr Planes kNf4Planes = PlanesOf(kNf4Wholes);
constexpr Planes kFp4Planes = PlanesOf(kFp4Wholes);

// The even ones of each eight inputs, then its odd ones: the order of the nibbles of a panel's
// line.
[[gnu::always_inline]] inline int8x16_t EvenThenOdd(int8x16_t q) {
  const int32x4_t even = vreinterpretq_s32_s8(vuzp1q_s8(q, q));
  const int32x4_t odd = vreinterpretq_s32_s8(vuzp2q_s8(q, q));
  return vreinterpretq_s8_s32(vzip1q_s32(even, odd));
}

template <template <int, std::size_t, std::size_t, std::size_t> typename Products,
          const Planes& kPlanes, std::int32_t kOne>
struct CodebookBlock {
  static constexpr std::size_t kValues = 64;
  static constexpr std::size_t kBytes = panels::CodebookPanel::kUnit;
  static constexpr std::size_t kGroups = 2;
  static constexpr std::size_t kInputBytes = kGroups * sizeof(A8Group);

  template <std::size_t kRows>
  [[gnu::always_inline]] static void Add(const std::byte* unit, const std::byte* const* inputs,
                                         Sums<kRows>* sums) {
    const std::size_t groups = Unknown(kGroups);
    for (std::size_t group = 0; group < groups; ++group) {
      // Only q and scale are set.
      A8Group turned[kRows];
      const std::byte* turned_inputs[kRows];
      for (std::size_t r = 0; r < kRows; ++r) {
        const A8Group& input = GroupAt(inputs[r] + group * sizeof(A8Group));
        vst1q_s8(turned[r].q, EvenThenOdd(vld1q_s8(input.q)));
        vst1q_s8(turned[r].q + 16, EvenThenOdd(vld1q_s8(input.q + 16)));
        turned[r].scale = input.scale;
        turned_inputs[r] = reinterpret_cast<const std::byte*>(&turned[r]);
      }
      const std::byte* lines = unit + panels::CodebookPanel::kLines + 256 * group;
      if constexpr (kRegisters<kRows> == 4) {
        AddOutputs<kRows>(unit, lines, turned_inputs, 0, sums);
      } else {
        const std::size_t end = Unknown(4);
        for (std::size_t first = 0; first < end; first += kRegisters<kRows>) {
          AddOutputs<kRows>(unit, lines, turned_inputs, first, sums);
        }
      }
    }
  }

 private:
  // One plane of the eight inputs of line kEight.
  template <std::size_t kEight, std::size_t kRows, typename Sum>
  [[gnu::always_inline]] static void AddEight(const std::byte* lines, int8x16_t plane,
                                              const std::byte* const* inputs, std::size_t first,
                                              Sum* products) {
    int8x16_t even[kRegisters<kRows>];
    int8x16_t odd[kRegisters<kRows>];
    for (std::size_t i = 0; i < kRegisters<kRows>; ++i) {
      const uint8x16_t codes = Load(lines + 64 * kEight + 16 * (first + i));
      even[i] = vqtbl1q_s8(plane, TakeBits<0, 4>(codes));
      odd[i] = vqtbl1q_s8(plane, TakeBits<4, 4>(codes));
    }
    products->template Add<kEight>(even, odd, inputs);
  }

  template <int kLargest, std::size_t kRows>
  [[gnu::always_inline]] static void PlaneSums(const std::byte* lines, const std::int8_t* table,
                                               const std::byte* const* inputs, std::size_t first,
                                               int32x4_t (&integers)[kRows][kRegisters<kRows>]) {
    const int8x16_t plane = vld1q_s8(table);
    Products<kLargest, 4, kRows, kRegisters<kRows>> products;
    products.Start({});
    AddEight<0, kRows>(lines, plane, inputs, first, &products);
    AddEight<1, kRows>(lines, plane, inputs, first, &products);
    AddEight<2, kRows>(lines, plane, inputs, first, &products);
    AddEight<3, kRows>(lines, plane, inputs, first, &products);
    products.Finish(integers);
  }

  template <std::size_t kRows>
  [[gnu::always_inline]] static void AddOutputs(const std::byte* unit, const std::byte* lines,
                                                const std::byte* const* inputs, std::size_t first,
                                                Sums<kRows>* sums) {
    int32x4_t high[kRows][kRegisters<kRows>];
    int32x4_t low[kRows][kRegisters<kRows>];
    PlaneSums<64, kRows>(lines, kPlanes.high, inputs, first, high);
    PlaneSums<127, kRows>(lines, kPlanes.low, inputs, first, low);
    for (std::size_t i = 0; i < kRegisters<kRows>; ++i) {
      const std::byte* scales = unit + panels::CodebookPanel::kScales + 16 * (first + i);
      const float32x4_t scale = vmulq_n_f32(vld1q_f32(reinterpret_cast<const float*>(scales)),
                                            1.0F / static_cast<float>(kOne));
      for (std::size_t r = 0; r < kRows; ++r) {
        const int32x4_t integer = vaddq_s32(vshlq_n_s32(high[r][i], 7), low[r][i]);
        float32x4_t& sum = sums->at[r][first + i];
        const float32x4_t factor = vmulq_n_f32(scale, GroupAt(inputs[r]).scale);
        sum = vfmaq_f32(sum, factor, vcvtq_f32_s32(integer));
      }
    }
  }
};

}  // namespace
}  // namespace bramble::kernels::arm
