// Units of integers with a scale and an integer zero, over the `Products` of matmul_units.h.
// Internal linkage: files with further instruction-set flags include this.
#pragma once

#include "kernels/arm/matmul_units.h"

namespace bramble::kernels::arm {
namespace {

// kGroups times 32 values of kBits bits with one scale and zero. Integer sums are exact: the zero
// times the inputs' sum is subtracted from them.
template <template <int, std::size_t, std::size_t, std::size_t> typename Products, typename Layout,
          int kBits, std::size_t kGroups>
struct IntegerBlock {
  static constexpr std::size_t kValues = 32 * kGroups;
  static constexpr std::size_t kBytes = Layout::kUnit;
  static constexpr std::size_t kInputBytes = kGroups * sizeof(A8Group);
  static constexpr int kLargest = kBits == 8 ? 128 : (1 << kBits) - 1;

  template <std::size_t kRows>
  [[gnu::always_inline]] static void Add(const std::byte* unit, const std::byte* const* inputs,
                                         Sums<kRows>* sums) {
    const std::byte* group_inputs[kRows];
    for (std::size_t r = 0; r < kRows; ++r) group_inputs[r] = inputs[r];
    const std::size_t groups = Unknown(kGroups);
    for (std::size_t group = 0; group < groups; ++group) {
      if constexpr (kRegisters<kRows> == 4) {
        AddOutputs<kRows>(unit, group, group_inputs, 0, sums);
      } else {
        const std::size_t end = Unknown(4);
        for (std::size_t first = 0; first < end; first += kRegisters<kRows>) {
          AddOutputs<kRows>(unit, group, group_inputs, first, sums);
        }
      }
      for (std::size_t r = 0; r < kRows; ++r) group_inputs[r] += sizeof(A8Group);
    }
  }

 private:
  // Bits of a value in its wide lines, and lines that hold a group's.
  static constexpr int kWideBits = kBits < 4 ? 2 : (kBits == 8 ? 8 : 4);
  static constexpr std::size_t kWideLines = kWideBits;

  // The weights of line kLine (inputs 4 kLine and on) of the outputs of register i.
  template <std::size_t kLine>
  [[gnu::always_inline]] static int8x16_t Weights(const std::byte* unit, std::size_t group,
                                                  std::size_t i) {
    const uint8x16_t wide =
        Load(unit + Layout::kWide + 64 * (kWideLines * group + kLine % kWideLines) + 16 * i);
    if constexpr (kBits == 8) {
      return Signed(wide);
    } else {
      const uint8x16_t low = TakeBits<kLine / kWideLines * kWideBits, kWideBits>(wide);
      if constexpr (kBits == 3 || kBits == 5) {
        const uint8x16_t high = Load(unit + Layout::kHigh + 16 * i);
        return Signed(WithHighBits<kLine, kBits - 1, 1U << (kBits - 1)>(low, high));
      } else if constexpr (kBits == 6) {
        const uint8x16_t high = Load(unit + Layout::kHigh + 64 * (kLine % 2) + 16 * i);
        return Signed(WithHighBits<kLine / 2 * 2, 4, 48>(low, high));
      } else {
        return Signed(low);
      }
    }
  }

  template <std::size_t kEight, std::size_t kRows, typename Sum>
  [[gnu::always_inline]] static void AddEight(const std::byte* unit, std::size_t group,
                                              const std::byte* const* inputs, std::size_t first,
                                              Sum* products) {
    int8x16_t low[kRegisters<kRows>];
    int8x16_t high[kRegisters<kRows>];
    for (std::size_t i = 0; i < kRegisters<kRows>; ++i) {
      low[i] = Weights<2 * kEight>(unit, group, first + i);
      high[i] = Weights<2 * kEight + 1>(unit, group, first + i);
    }
    products->template Add<kEight>(low, high, inputs);
  }

  template <std::size_t kRows>
  [[gnu::always_inline]] static void AddOutputs(const std::byte* unit, std::size_t group,
                                                const std::byte* const* inputs, std::size_t first,
                                                Sums<kRows>* sums) {
    Products<kLargest, 4, kRows, kRegisters<kRows>> products;
    products.Start({});
    AddEight<0, kRows>(unit, group, inputs, first, &products);
    AddEight<2, kRows>(unit, group, inputs, first, &products);
    AddEight<1, kRows>(unit, group, inputs, first, &products);
    AddEight<3, kRows>(unit, group, inputs, first, &products);
    int32x4_t integers[kRows][kRegisters<kRows>];
    products.Finish(integers);
    for (std::size_t i = 0; i < kRegisters<kRows>; ++i) {
      const std::byte* zeros = unit + Layout::kZeros + 8 * (first + i);
      const std::byte* scales = unit + Layout::kScales + 16 * (first + i);
      const int32x4_t zero = vmovl_s16(vld1_s16(reinterpret_cast<const std::int16_t*>(zeros)));
      const float32x4_t scale = vld1q_f32(reinterpret_cast<const float*>(scales));
      for (std::size_t r = 0; r < kRows; ++r) {
        const A8Group& input = GroupAt(inputs[r]);
        const int32x4_t integer = vmlsq_s32(integers[r][i], zero, vdupq_n_s32(input.sum));
        float32x4_t& sum = sums->at[r][first + i];
        sum = vfmaq_f32(sum, vmulq_n_f32(scale, input.scale), vcvtq_f32_s32(integer));
      }
    }
  }
};

}  // namespace
}  // namespace bramble::kernels::arm
