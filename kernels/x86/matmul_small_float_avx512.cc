// Products with small floats and f32 inputs, with AVX-512: a codebook of 16 is one register, and a
// permutation looks it up. Weights are decoded exactly as kernels/encodings/float_types.h does.
#include "kernels/encodings/float_codebooks.h"
#include "kernels/panels/layouts.h"
#include "kernels/x86/kernels.h"
#include "kernels/x86/matmul_tile_avx512.h"

namespace bramble::kernels::x86 {
namespace {

// sums += w * input `at` of each row
template <std::size_t kRows>
void AddInput(__m512 w, std::size_t at, const std::byte* const* inputs, Sums<kRows>* sums) {
  for (std::size_t r = 0; r < kRows; ++r) {
    const __m512 x = _mm512_set1_ps(reinterpret_cast<const float*>(inputs[r])[at]);
    sums->at[r] = _mm512_fmadd_ps(w, x, sums->at[r]);
  }
}

template <const float (&kTable)[16]>
struct Codebook {
  static constexpr std::size_t kValues = 64;
  static constexpr std::size_t kBytes = panels::CodebookPanel::kUnit;
  static constexpr std::size_t kInputBytes = kValues * sizeof(float);

  // The permutation takes the low four bits of each index.
  template <unsigned kNibble, std::size_t kRows>
  static void AddNibbles(__m512i codes, __m512 scale, std::size_t at,
                         const std::byte* const* inputs, Sums<kRows>* sums) {
    const __m512i index = _mm512_srli_epi32(codes, 4 * kNibble);
    const __m512 value = _mm512_permutexvar_ps(index, _mm512_loadu_ps(kTable));
    AddInput<kRows>(_mm512_mul_ps(scale, value), at + kNibble, inputs, sums);
    if constexpr (kNibble < 7) AddNibbles<kNibble + 1, kRows>(codes, scale, at, inputs, sums);
  }

  template <std::size_t kRows>
  static void Add(const std::byte* unit, const std::byte* const* inputs, Sums<kRows>* sums) {
    const __m512 scale = _mm512_loadu_ps(unit + panels::CodebookPanel::kScales);
    for (std::size_t line = 0; line < 8; ++line) {
      const __m512i codes = Load(unit + panels::CodebookPanel::kLines + 64 * line);
      AddNibbles<0, kRows>(codes, scale, 8 * line, inputs, sums);
    }
  }
};

struct E4M3 {
  static constexpr std::size_t kValues = 32;
  static constexpr std::size_t kBytes = panels::F8Panel::kUnit;
  static constexpr std::size_t kInputBytes = kValues * sizeof(float);

  // Byte kByte of each element.
  template <unsigned kByte>
  static __m512 Widen(__m512i codes) {
    __m512i moved = codes;  // its magnitude in bits 20 to 26
    if constexpr (kByte < 3) moved = _mm512_slli_epi32(codes, 20 - 8 * kByte);
    if constexpr (kByte == 3) moved = _mm512_srli_epi32(codes, 4);
    const __m512i mask = _mm512_set1_epi32(0x07f00000);
    const __m512i magnitude = _mm512_and_si512(moved, mask);
    const __m512i value = _mm512_castps_si512(
        _mm512_mul_ps(_mm512_castsi512_ps(magnitude), _mm512_set1_ps(0x1p120F)));
    const __m512i sign = _mm512_and_si512(_mm512_slli_epi32(moved, 4),
                                          _mm512_set1_epi32(static_cast<int>(0x80000000U)));
    const __mmask16 no_number = _mm512_cmpeq_epi32_mask(magnitude, mask);
    const __m512i number = _mm512_or_si512(value, sign);
    return _mm512_castsi512_ps(
        _mm512_mask_mov_epi32(number, no_number, _mm512_set1_epi32(0x7fc00000)));
  }

  template <unsigned kByte, std::size_t kRows>
  static void AddBytes(__m512i codes, __m512 scale, std::size_t at, const std::byte* const* inputs,
                       Sums<kRows>* sums) {
    AddInput<kRows>(_mm512_mul_ps(scale, Widen<kByte>(codes)), at + kByte, inputs, sums);
    if constexpr (kByte < 3) AddBytes<kByte + 1, kRows>(codes, scale, at, inputs, sums);
  }

  template <std::size_t kRows>
  static void Add(const std::byte* unit, const std::byte* const* inputs, Sums<kRows>* sums) {
    const __m512 scale = _mm512_loadu_ps(unit + panels::F8Panel::kScales);
    for (std::size_t line = 0; line < 8; ++line) {
      const __m512i codes = Load(unit + panels::F8Panel::kLines + 64 * line);
      AddBytes<0, kRows>(codes, scale, 4 * line, inputs, sums);
    }
  }
};

}  // namespace

void MatmulNf4Avx512(const MatmulArgs& args) { RunPanels<Codebook<nf4_values>>(args); }
void MatmulFp4Avx512(const MatmulArgs& args) { RunPanels<Codebook<fp4_values>>(args); }
void MatmulF8E4M3Avx512(const MatmulArgs& args) { RunPanels<E4M3>(args); }

}  // namespace bramble::kernels::x86
