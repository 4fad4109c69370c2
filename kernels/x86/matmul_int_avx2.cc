// Products with integers that have a scale and an integer zero. The integer sums are exact, so
// their order is free; the float operations are those of docs/arithmetic.md, lane by lane.
#include "kernels/panels/layouts.h"
#include "kernels/x86/kernels.h"
#include "kernels/x86/matmul_tile_avx2.h"

namespace bramble::kernels::x86 {
namespace {

// sums += float(integers - zero * the inputs' sum) * (scale * the inputs' scale)
template <typename Layout, std::size_t kRows>
void Finish(const std::byte* unit, const std::byte* const* inputs, const Sums32<kRows>& integers,
            Sums<kRows>* sums) {
  for (std::size_t half = 0; half < 2; ++half) {
    const __m256 scale =
        _mm256_loadu_ps(reinterpret_cast<const float*>(unit + Layout::kScales + 32 * half));
    const __m256i zero = _mm256_cvtepi16_epi32(
        _mm_loadu_si128(reinterpret_cast<const __m128i*>(unit + Layout::kZeros + 16 * half)));
    for (std::size_t r = 0; r < kRows; ++r) {
      const A8Group& input = *Groups(inputs[r]);
      const __m256i shift = _mm256_mullo_epi32(zero, _mm256_set1_epi32(input.sum));
      const __m256i integer = _mm256_sub_epi32(integers.at[r][half], shift);
      const __m256 factor = _mm256_mul_ps(scale, _mm256_set1_ps(input.scale));
      sums->at[r][half] = _mm256_fmadd_ps(factor, _mm256_cvtepi32_ps(integer), sums->at[r][half]);
    }
  }
}

// Values of up to 6 bits: kGroups times 32 with one scale and zero.
template <typename Layout, std::size_t kBits, std::size_t kGroups>
struct UpToSixBits {
  static constexpr std::size_t kValues = 32 * kGroups;
  static constexpr std::size_t kBytes = Layout::kUnit;
  static constexpr std::size_t kInputBytes = kGroups * sizeof(A8Group);
  // Bits of a value in its wide lines, lines that hold a group's, and of the lines of products that
  // 16 bits can add up: 2 * 127 * (2^bits - 1) each.
  static constexpr std::size_t kWideBits = kBits < 4 ? 2 : 4;
  static constexpr std::size_t kWideLines = kWideBits;
  static constexpr std::size_t kTogether = kBits <= 4 ? 8 : (kBits == 5 ? 4 : 2);

  // The weights of inputs 4 kLine and on, of outputs 8 half and on.
  template <std::size_t kLine>
  static __m256i Weights(const std::byte* unit, std::size_t group, std::size_t half) {
    constexpr char kMask = kWideBits == 2 ? 3 : 15;
    const std::byte* wide =
        unit + Layout::kWide + 64 * (kWideLines * group + kLine % kWideLines) + 32 * half;
    const __m256i low = MoveBits<kLine / kWideLines * kWideBits, 0, kMask>(Load(wide));
    if constexpr (kBits == 3 || kBits == 5) {
      const __m256i high = Load(unit + Layout::kHigh + 32 * half);
      return _mm256_or_si256(low, MoveBits<kLine, kBits - 1, 1 << (kBits - 1)>(high));
    } else if constexpr (kBits == 6) {
      const __m256i high = Load(unit + Layout::kHigh + 64 * (kLine % 2) + 32 * half);
      return _mm256_or_si256(low, MoveBits<kLine / 2 * 2, 4, 48>(high));
    } else {
      return low;
    }
  }

  template <std::size_t kLine, std::size_t kRows>
  static void AddLines(const std::byte* unit, std::size_t group, const std::byte* const* inputs,
                       Sums16<kRows>* products, Sums32<kRows>* integers) {
    if constexpr (kLine % kTogether == 0) products->Clear();
    const __m256i weights[2] = {Weights<kLine>(unit, group, 0), Weights<kLine>(unit, group, 1)};
    products->Add(weights, inputs, 4 * kLine);
    if constexpr ((kLine + 1) % kTogether == 0) integers->AddPairs(*products);
    if constexpr (kLine < 7) AddLines<kLine + 1, kRows>(unit, group, inputs, products, integers);
  }

  template <std::size_t kRows>
  static void Add(const std::byte* unit, const std::byte* const* inputs, Sums<kRows>* sums) {
    for (std::size_t group = 0; group < kGroups; ++group) {
      const std::byte* group_inputs[kRows];
      for (std::size_t r = 0; r < kRows; ++r) {
        group_inputs[r] = inputs[r] + group * sizeof(A8Group);
      }
      Sums16<kRows> products;
      Sums32<kRows> integers;
      integers.Clear();
      AddLines<0, kRows>(unit, group, group_inputs, &products, &integers);
      Finish<Layout, kRows>(unit, group_inputs, integers, sums);
    }
  }
};

// Eight bits: |w| times the input with w's sign; a pair (at most 2 * 128 * 127) just fits in 16
// bits.
struct EightBits {
  static constexpr std::size_t kValues = 32;
  static constexpr std::size_t kBytes = panels::Int8::kUnit;
  static constexpr std::size_t kInputBytes = sizeof(A8Group);

  template <std::size_t kRows>
  static void Add(const std::byte* unit, const std::byte* const* inputs, Sums<kRows>* sums) {
    Sums32<kRows> integers;
    integers.Clear();
    for (std::size_t line = 0; line < 8; ++line) {
      for (std::size_t half = 0; half < 2; ++half) {
        const __m256i w = Load(unit + panels::Int8::kWide + 64 * line + 32 * half);
        const __m256i magnitude = _mm256_abs_epi8(w);
        for (std::size_t r = 0; r < kRows; ++r) {
          const __m256i x = _mm256_sign_epi8(BroadcastFour(Groups(inputs[r])->q + 4 * line), w);
          const __m256i pairs = WidenPairs(_mm256_maddubs_epi16(magnitude, x));
          integers.at[r][half] = _mm256_add_epi32(integers.at[r][half], pairs);
        }
      }
    }
    Finish<panels::Int8, kRows>(unit, inputs, integers, sums);
  }
};

}  // namespace

void MatmulInt2Avx2(const MatmulArgs& args) { RunPanels<UpToSixBits<panels::Int2, 2, 1>>(args); }
void MatmulInt3Avx2(const MatmulArgs& args) { RunPanels<UpToSixBits<panels::Int3, 3, 1>>(args); }
void MatmulInt4Avx2(const MatmulArgs& args) { RunPanels<UpToSixBits<panels::Int4, 4, 1>>(args); }
void MatmulInt5Avx2(const MatmulArgs& args) { RunPanels<UpToSixBits<panels::Int5, 5, 1>>(args); }
void MatmulInt6Avx2(const MatmulArgs& args) { RunPanels<UpToSixBits<panels::Int6, 6, 1>>(args); }
void MatmulInt8Avx2(const MatmulArgs& args) { RunPanels<EightBits>(args); }
void MatmulInt4x128Avx2(const MatmulArgs& args) {
  RunPanels<UpToSixBits<panels::Int4x128, 4, 4>>(args);
}

}  // namespace bramble::kernels::x86
