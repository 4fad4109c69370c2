// Products with integers that have a scale and an integer zero, with AVX-512 and VNNI. Signed
// weights are shifted to be unsigned, which the zero's term takes back: integers, so the sums are
// those of docs/arithmetic.md.
#include "kernels/panels/layouts.h"
#include "kernels/x86/kernels.h"
#include "kernels/x86/matmul_tile_avx512.h"

namespace bramble::kernels::x86 {
namespace {

// kGroups times 32 values with one scale and zero.
template <typename Layout, std::size_t kBits, std::size_t kGroups>
struct Integer {
  static constexpr std::size_t kValues = 32 * kGroups;
  static constexpr std::size_t kBytes = Layout::kUnit;
  static constexpr std::size_t kInputBytes = kGroups * sizeof(A8Group);
  // Bits of a value in its wide lines, and lines that hold a group's.
  static constexpr std::size_t kWideBits = kBits < 4 ? 2 : (kBits == 8 ? 8 : 4);
  static constexpr std::size_t kWideLines = kWideBits;

  // The weights of inputs 4 kLine and on.
  template <std::size_t kLine>
  static __m512i Weights(const std::byte* unit, std::size_t group) {
    const __m512i wide =
        Load(unit + Layout::kWide + 64 * (kWideLines * group + kLine % kWideLines));
    if constexpr (kBits == 8) {
      return _mm512_xor_si512(wide, _mm512_set1_epi8(-128));
    } else {
      constexpr char kMask = kWideBits == 2 ? 3 : 15;
      const __m512i low = MoveBits<kLine / kWideLines * kWideBits, 0, kMask>(wide);
      if constexpr (kBits == 3 || kBits == 5) {
        const __m512i high = Load(unit + Layout::kHigh);
        return _mm512_or_si512(low, MoveBits<kLine, kBits - 1, 1 << (kBits - 1)>(high));
      } else if constexpr (kBits == 6) {
        const __m512i high = Load(unit + Layout::kHigh + 64 * (kLine % 2));
        return _mm512_or_si512(low, MoveBits<kLine / 2 * 2, 4, 48>(high));
      } else {
        return low;
      }
    }
  }

  template <std::size_t kLine, std::size_t kRows>
  static void AddLines(const std::byte* unit, std::size_t group, const std::byte* const* inputs,
                       Integers<kRows>* integers) {
    integers->Add(Weights<kLine>(unit, group), inputs, 4 * kLine);
    if constexpr (kLine < 7) AddLines<kLine + 1, kRows>(unit, group, inputs, integers);
  }

  template <std::size_t kRows>
  static void Add(const std::byte* unit, const std::byte* const* inputs, Sums<kRows>* sums) {
    const __m512 scale = _mm512_loadu_ps(unit + Layout::kScales);
    const __m512i zero = _mm512_add_epi32(
        _mm512_cvtepi16_epi32(
            _mm256_loadu_si256(reinterpret_cast<const __m256i*>(unit + Layout::kZeros))),
        _mm512_set1_epi32(kBits == 8 ? 128 : 0));
    for (std::size_t group = 0; group < kGroups; ++group) {
      const std::byte* group_inputs[kRows];
      for (std::size_t r = 0; r < kRows; ++r) {
        group_inputs[r] = inputs[r] + group * sizeof(A8Group);
      }
      Integers<kRows> integers;
      integers.Clear();
      AddLines<0, kRows>(unit, group, group_inputs, &integers);
      for (std::size_t r = 0; r < kRows; ++r) {
        const __m512i shift =
            _mm512_mullo_epi32(zero, _mm512_set1_epi32(GroupAt(group_inputs[r]).sum));
        integers.at[r] = _mm512_sub_epi32(integers.at[r], shift);
      }
      AddScaled<kRows>(scale, group_inputs, integers, sums);
    }
  }
};

}  // namespace

void MatmulInt2Avx512(const MatmulArgs& args) { RunPanels<Integer<panels::Int2, 2, 1>>(args); }
void MatmulInt3Avx512(const MatmulArgs& args) { RunPanels<Integer<panels::Int3, 3, 1>>(args); }
void MatmulInt4Avx512(const MatmulArgs& args) { RunPanels<Integer<panels::Int4, 4, 1>>(args); }
void MatmulInt5Avx512(const MatmulArgs& args) { RunPanels<Integer<panels::Int5, 5, 1>>(args); }
void MatmulInt6Avx512(const MatmulArgs& args) { RunPanels<Integer<panels::Int6, 6, 1>>(args); }
void MatmulInt8Avx512(const MatmulArgs& args) { RunPanels<Integer<panels::Int8, 8, 1>>(args); }
void MatmulInt4x128Avx512(const MatmulArgs& args) {
  RunPanels<Integer<panels::Int4x128, 4, 4>>(args);
}

}  // namespace bramble::kernels::x86
