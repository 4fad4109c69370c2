// Products of float weights, and the inner loop of those with decoded weights.
#include "kernels/panels/layouts.h"
#include "kernels/x86/kernels.h"
#include "kernels/x86/matmul_tile_avx2.h"

namespace bramble::kernels::x86 {
namespace {

struct Weights {
  __m256 low;   // outputs 0..7
  __m256 high;  // 8..15
};

inline Weights LoadWeights(panels::F32Panel /*layout*/, const std::byte* unit) {
  const auto* w = reinterpret_cast<const float*>(unit);
  return {_mm256_loadu_ps(w), _mm256_loadu_ps(w + 8)};
}

inline Weights LoadWeights(panels::F16Panel /*layout*/, const std::byte* unit) {
  return {LoadHalves(unit), LoadHalves(unit + 16)};
}

inline __m256 WidenBf16(const std::byte* p) {
  const __m128i eight = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(eight), 16));
}

inline Weights LoadWeights(panels::Bf16Panel /*layout*/, const std::byte* unit) {
  return {WidenBf16(unit), WidenBf16(unit + 16)};
}

template <typename Layout>
struct FloatUnit {
  static constexpr std::size_t kValues = 1;
  static constexpr std::size_t kBytes = Layout::kUnit;
  static constexpr std::size_t kInputBytes = sizeof(float);

  template <std::size_t kRows>
  static void Add(const std::byte* unit, const std::byte* const* inputs, Sums<kRows>* sums) {
    const Weights w = LoadWeights(Layout{}, unit);
    for (std::size_t r = 0; r < kRows; ++r) {
      const __m256 x = _mm256_broadcast_ss(reinterpret_cast<const float*>(inputs[r]));
      sums->at[r][0] = _mm256_fmadd_ps(w.low, x, sums->at[r][0]);
      sums->at[r][1] = _mm256_fmadd_ps(w.high, x, sums->at[r][1]);
    }
  }
};

template <std::size_t kRows>
void AddPieceTile(const float* weights, std::size_t count, const std::byte* input,
                  std::size_t input_stride, float* sums) {
  const std::byte* inputs[kRows];
  Sums<kRows> tile;
  for (std::size_t r = 0; r < kRows; ++r) {
    inputs[r] = input + r * input_stride;
    tile.at[r][0] = _mm256_loadu_ps(sums + kPanelRows * r);
    tile.at[r][1] = _mm256_loadu_ps(sums + kPanelRows * r + 8);
  }
  for (std::size_t i = 0; i < count; ++i) {
    FloatUnit<panels::F32Panel>::Add<kRows>(reinterpret_cast<const std::byte*>(weights), inputs,
                                            &tile);
    weights += kPanelRows;
    for (std::size_t r = 0; r < kRows; ++r) inputs[r] += sizeof(float);
  }
  for (std::size_t r = 0; r < kRows; ++r) {
    _mm256_storeu_ps(sums + kPanelRows * r, tile.at[r][0]);
    _mm256_storeu_ps(sums + kPanelRows * r + 8, tile.at[r][1]);
  }
}

}  // namespace

void MatmulF32Avx2(const MatmulArgs& args) { RunPanels<FloatUnit<panels::F32Panel>>(args); }
void MatmulF16Avx2(const MatmulArgs& args) { RunPanels<FloatUnit<panels::F16Panel>>(args); }
void MatmulBf16Avx2(const MatmulArgs& args) { RunPanels<FloatUnit<panels::Bf16Panel>>(args); }

void AddPieceAvx2(const float* weights, std::size_t inputs, const std::byte* input,
                  std::size_t input_stride, std::size_t rows, float* sums) {
  std::size_t r = 0;
  for (; r + 4 <= rows; r += 4) {
    AddPieceTile<4>(weights, inputs, input + r * input_stride, input_stride, sums + kPanelRows * r);
  }
  for (; r < rows; ++r) {
    AddPieceTile<1>(weights, inputs, input + r * input_stride, input_stride, sums + kPanelRows * r);
  }
}

}  // namespace bramble::kernels::x86
