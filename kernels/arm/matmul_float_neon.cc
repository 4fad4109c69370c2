// Products of float weights, and the inner loop of those with decoded weights.
#include "kernels/arm/kernels.h"
#include "kernels/arm/matmul_tile.h"
#include "kernels/panels/layouts.h"

namespace bramble::kernels::arm {
namespace {

// Input rows of a tile.
constexpr std::size_t kTileRows = 4;

// The weights of outputs 4 i and on.
inline float32x4_t LoadWeights(panels::F32Panel /*layout*/, const std::byte* unit, std::size_t i) {
  return vld1q_f32(reinterpret_cast<const float*>(unit) + 4 * i);
}

inline float32x4_t LoadWeights(panels::F16Panel /*layout*/, const std::byte* unit, std::size_t i) {
  return LoadHalves(unit + 8 * i);
}

inline float32x4_t LoadWeights(panels::Bf16Panel /*layout*/, const std::byte* unit, std::size_t i) {
  const uint16x4_t four = vld1_u16(reinterpret_cast<const std::uint16_t*>(unit) + 4 * i);
  return vreinterpretq_f32_u32(vshll_n_u16(four, 16));
}

template <typename Layout>
struct FloatUnit {
  static constexpr std::size_t kValues = 1;
  static constexpr std::size_t kBytes = Layout::kUnit;
  static constexpr std::size_t kInputBytes = sizeof(float);

  template <std::size_t kRows>
  static void Add(const std::byte* unit, const std::byte* const* inputs, Sums<kRows>* sums) {
    float32x4_t w[4];
    for (std::size_t i = 0; i < 4; ++i) w[i] = LoadWeights(Layout{}, unit, i);
    for (std::size_t r = 0; r < kRows; ++r) {
      const float32x4_t x = vld1q_dup_f32(reinterpret_cast<const float*>(inputs[r]));
      for (std::size_t i = 0; i < 4; ++i) sums->at[r][i] = vfmaq_f32(sums->at[r][i], w[i], x);
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
    for (std::size_t i = 0; i < 4; ++i) tile.at[r][i] = vld1q_f32(sums + kPanelRows * r + 4 * i);
  }
  for (std::size_t i = 0; i < count; ++i) {
    FloatUnit<panels::F32Panel>::Add<kRows>(reinterpret_cast<const std::byte*>(weights), inputs,
                                            &tile);
    weights += kPanelRows;
    for (std::size_t r = 0; r < kRows; ++r) inputs[r] += sizeof(float);
  }
  for (std::size_t r = 0; r < kRows; ++r) {
    for (std::size_t i = 0; i < 4; ++i) vst1q_f32(sums + kPanelRows * r + 4 * i, tile.at[r][i]);
  }
}

}  // namespace

void MatmulF32Neon(const MatmulArgs& args) {
  RunPanels<FloatUnit<panels::F32Panel>, kTileRows>(args);
}
void MatmulF16Neon(const MatmulArgs& args) {
  RunPanels<FloatUnit<panels::F16Panel>, kTileRows>(args);
}
void MatmulBf16Neon(const MatmulArgs& args) {
  RunPanels<FloatUnit<panels::Bf16Panel>, kTileRows>(args);
}

void AddPieceNeon(const float* weights, std::size_t inputs, const std::byte* input,
                  std::size_t input_stride, std::size_t rows, float* sums) {
  std::size_t r = 0;
  for (; r + 4 <= rows; r += 4) {
    AddPieceTile<4>(weights, inputs, input + r * input_stride, input_stride, sums + kPanelRows * r);
  }
  for (; r < rows; ++r) {
    AddPieceTile<1>(weights, inputs, input + r * input_stride, input_stride, sums + kPanelRows * r);
  }
}

}  // namespace bramble::kernels::arm
