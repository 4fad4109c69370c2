// Products with small floats and f32 inputs: codebooks of 16 (bitsandbytes), E4M3. Weights are
// decoded in registers, exactly as kernels/encodings/float_types.h does.
#include "kernels/encodings/float_codebooks.h"
#include "kernels/panels/layouts.h"
#include "kernels/x86/kernels.h"
#include "kernels/x86/matmul_tile_avx2.h"

namespace bramble::kernels::x86 {
namespace {

// sums += w * input `at` of each row, for the 8 outputs of `half`
template <std::size_t kRows>
void AddInput(__m256 w, std::size_t at, std::size_t half, const std::byte* const* inputs,
              Sums<kRows>* sums) {
  for (std::size_t r = 0; r < kRows; ++r) {
    const __m256 x = _mm256_broadcast_ss(reinterpret_cast<const float*>(inputs[r]) + at);
    sums->at[r][half] = _mm256_fmadd_ps(w, x, sums->at[r][half]);
  }
}

inline __m256 LoadScale(const std::byte* unit, std::size_t half) {
  return _mm256_loadu_ps(reinterpret_cast<const float*>(unit + 32 * half));
}

template <const float (&kTable)[16]>
struct Codebook {
  static constexpr std::size_t kValues = 64;
  static constexpr std::size_t kBytes = panels::CodebookPanel::kUnit;
  static constexpr std::size_t kInputBytes = kValues * sizeof(float);

  // The entries that nibble kNibble of each element names: the permutations take three bits, the
  // fourth chooses between them.
  template <int kNibble>
  static __m256 LookUp(__m256i codes) {
    const __m256i index = _mm256_srli_epi32(codes, 4 * kNibble);
    const __m256 first = _mm256_permutevar8x32_ps(_mm256_loadu_ps(kTable), index);
    const __m256 second = _mm256_permutevar8x32_ps(_mm256_loadu_ps(kTable + 8), index);
    const __m256i fourth = _mm256_slli_epi32(codes, 28 - 4 * kNibble);
    return _mm256_blendv_ps(first, second, _mm256_castsi256_ps(fourth));
  }

  template <int kNibble, std::size_t kRows>
  static void AddNibbles(const __m256i (&codes)[2], const __m256 (&scales)[2], std::size_t at,
                         const std::byte* const* inputs, Sums<kRows>* sums) {
    for (std::size_t half = 0; half < 2; ++half) {
      const __m256 w = _mm256_mul_ps(scales[half], LookUp<kNibble>(codes[half]));
      AddInput<kRows>(w, at + kNibble, half, inputs, sums);
    }
    if constexpr (kNibble < 7) AddNibbles<kNibble + 1, kRows>(codes, scales, at, inputs, sums);
  }

  template <std::size_t kRows>
  static void Add(const std::byte* unit, const std::byte* const* inputs, Sums<kRows>* sums) {
    const __m256 scales[2] = {LoadScale(unit, 0), LoadScale(unit, 1)};
    for (std::size_t line = 0; line < 8; ++line) {
      const std::byte* bytes = unit + panels::CodebookPanel::kLines + 64 * line;
      const __m256i codes[2] = {Load(bytes), Load(bytes + 32)};
      AddNibbles<0, kRows>(codes, scales, 8 * line, inputs, sums);
    }
  }
};

struct E4M3 {
  static constexpr std::size_t kValues = 32;
  static constexpr std::size_t kBytes = panels::F8Panel::kUnit;
  static constexpr std::size_t kInputBytes = kValues * sizeof(float);

  // Byte kByte of each element.
  template <int kByte>
  static __m256 Widen(__m256i codes) {
    __m256i moved = codes;  // its magnitude in bits 20 to 26
    if constexpr (kByte < 3) moved = _mm256_slli_epi32(codes, 20 - 8 * kByte);
    if constexpr (kByte == 3) moved = _mm256_srli_epi32(codes, 4);
    const __m256i mask = _mm256_set1_epi32(0x07f00000);
    const __m256i magnitude = _mm256_and_si256(moved, mask);
    const __m256 value = _mm256_mul_ps(_mm256_castsi256_ps(magnitude), _mm256_set1_ps(0x1p120F));
    const __m256i no_number = _mm256_cmpeq_epi32(magnitude, mask);
    const __m256i sign = _mm256_and_si256(_mm256_slli_epi32(moved, 4),
                                          _mm256_set1_epi32(static_cast<int>(0x80000000U)));
    return _mm256_or_ps(value, _mm256_castsi256_ps(_mm256_or_si256(no_number, sign)));
  }

  template <int kByte, std::size_t kRows>
  static void AddBytes(const __m256i (&codes)[2], const __m256 (&scales)[2], std::size_t at,
                       const std::byte* const* inputs, Sums<kRows>* sums) {
    for (std::size_t half = 0; half < 2; ++half) {
      const __m256 w = _mm256_mul_ps(scales[half], Widen<kByte>(codes[half]));
      AddInput<kRows>(w, at + kByte, half, inputs, sums);
    }
    if constexpr (kByte < 3) AddBytes<kByte + 1, kRows>(codes, scales, at, inputs, sums);
  }

  template <std::size_t kRows>
  static void Add(const std::byte* unit, const std::byte* const* inputs, Sums<kRows>* sums) {
    const __m256 scales[2] = {LoadScale(unit, 0), LoadScale(unit, 1)};
    for (std::size_t line = 0; line < 8; ++line) {
      const std::byte* bytes = unit + panels::F8Panel::kLines + 64 * line;
      const __m256i codes[2] = {Load(bytes), Load(bytes + 32)};
      AddBytes<0, kRows>(codes, scales, 4 * line, inputs, sums);
    }
  }
};

}  // namespace

void MatmulNf4Avx2(const MatmulArgs& args) { RunPanels<Codebook<nf4_values>>(args); }
void MatmulFp4Avx2(const MatmulArgs& args) { RunPanels<Codebook<fp4_values>>(args); }
void MatmulF8E4M3Avx2(const MatmulArgs& args) { RunPanels<E4M3>(args); }

}  // namespace bramble::kernels::x86
