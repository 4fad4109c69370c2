// Products with a8 inputs for cores with SMMLA: two outputs of eight inputs times two input rows of
// eight, 32 products an instruction. One row alone takes SDOT.
#include "kernels/arm/kernels.h"
#include "kernels/arm/matmul_codebook_units.h"
#include "kernels/arm/matmul_int_units.h"
#include "kernels/arm/matmul_units.h"
#include "kernels/arm/products_dotprod.h"

namespace bramble::kernels::arm {
namespace {

// Input rows of a tile.
constexpr std::size_t kTileRows = 8;

// Sums of two outputs and two rows in each register: (output, row), (output, row + 1), (output + 1,
// row), (output + 1, row + 1).
template <std::size_t kRows, std::size_t kCount>
struct MatrixProducts {
  static_assert(kRows % 2 == 0);
  // [..][i][0]: outputs 4 i and 4 i + 1, [1]: the next two.
  int32x4_t at[kRows / 2][kCount][2];

  [[gnu::always_inline]] void Start(const std::int32_t (&minus)[kRows]) {
    for (std::size_t r = 0; r < kRows; r += 2) {
      const int32x2_t two = vset_lane_s32(-minus[r + 1], vdup_n_s32(-minus[r]), 1);
      for (std::size_t i = 0; i < kCount; ++i) {
        at[r / 2][i][0] = vcombine_s32(two, two);
        at[r / 2][i][1] = vcombine_s32(two, two);
      }
    }
  }

  template <std::size_t kEight>
  [[gnu::always_inline]] void Add(const int8x16_t (&first)[kCount],
                                  const int8x16_t (&second)[kCount],
                                  const std::byte* const* inputs) {
    // Eight inputs of two rows.
    int8x16_t x[kRows / 2];
    for (std::size_t r = 0; r < kRows; r += 2) {
      x[r / 2] = vcombine_s8(vld1_s8(GroupAt(inputs[r]).q + 8 * kEight),
                             vld1_s8(GroupAt(inputs[r + 1]).q + 8 * kEight));
    }
    for (std::size_t i = 0; i < kCount; ++i) {
      // Eight inputs of two outputs: the fours of both registers in turn.
      const int32x4_t low = vreinterpretq_s32_s8(first[i]);
      const int32x4_t high = vreinterpretq_s32_s8(second[i]);
      const int8x16_t w[2] = {vreinterpretq_s8_s32(vzip1q_s32(low, high)),
                              vreinterpretq_s8_s32(vzip2q_s32(low, high))};
      for (std::size_t r = 0; r < kRows / 2; ++r) {
        at[r][i][0] = vmmlaq_s32(at[r][i][0], w[0], x[r]);
        at[r][i][1] = vmmlaq_s32(at[r][i][1], w[1], x[r]);
      }
    }
  }

  [[gnu::always_inline]] void Finish(int32x4_t (&sums)[kRows][kCount]) const {
    for (std::size_t r = 0; r < kRows; r += 2) {
      for (std::size_t i = 0; i < kCount; ++i) {
        sums[r][i] = vuzp1q_s32(at[r / 2][i][0], at[r / 2][i][1]);
        sums[r + 1][i] = vuzp2q_s32(at[r / 2][i][0], at[r / 2][i][1]);
      }
    }
  }
};

template <int kLargest, std::size_t kEights, std::size_t kRows, std::size_t kCount>
struct Products : MatrixProducts<kRows, kCount> {};
template <int kLargest, std::size_t kEights, std::size_t kCount>
struct Products<kLargest, kEights, 1, kCount> : DotProducts<1, kCount> {};

}  // namespace

void MatmulQ40I8mm(const MatmulArgs& args) {
  RunPanels<Block<Products, panels::Q40, 4, 8, false>, kTileRows>(args);
}
void MatmulQ41I8mm(const MatmulArgs& args) {
  RunPanels<Block<Products, panels::Q41, 4, 0, true>, kTileRows>(args);
}
void MatmulQ50I8mm(const MatmulArgs& args) {
  RunPanels<Block<Products, panels::Q50, 5, 16, false>, kTileRows>(args);
}
void MatmulQ51I8mm(const MatmulArgs& args) {
  RunPanels<Block<Products, panels::Q51, 5, 0, true>, kTileRows>(args);
}
void MatmulQ80I8mm(const MatmulArgs& args) {
  RunPanels<Block<Products, panels::Q80, 8, 0, false>, kTileRows>(args);
}
void MatmulQ2KI8mm(const MatmulArgs& args) {
  RunPanels<SuperBlock<Products, WeightsQ2K>, kTileRows>(args);
}
void MatmulQ3KI8mm(const MatmulArgs& args) {
  RunPanels<SuperBlock<Products, WeightsQ3K>, kTileRows>(args);
}
void MatmulQ4KI8mm(const MatmulArgs& args) {
  RunPanels<SuperBlock<Products, WeightsQ4K>, kTileRows>(args);
}
void MatmulQ5KI8mm(const MatmulArgs& args) {
  RunPanels<SuperBlock<Products, WeightsQ5K>, kTileRows>(args);
}
void MatmulQ6KI8mm(const MatmulArgs& args) {
  RunPanels<SuperBlock<Products, WeightsQ6K>, kTileRows>(args);
}
void MatmulInt2I8mm(const MatmulArgs& args) {
  RunPanels<IntegerBlock<Products, panels::Int2, 2, 1>, kTileRows>(args);
}
void MatmulInt3I8mm(const MatmulArgs& args) {
  RunPanels<IntegerBlock<Products, panels::Int3, 3, 1>, kTileRows>(args);
}
void MatmulInt4I8mm(const MatmulArgs& args) {
  RunPanels<IntegerBlock<Products, panels::Int4, 4, 1>, kTileRows>(args);
}
void MatmulInt5I8mm(const MatmulArgs& args) {
  RunPanels<IntegerBlock<Products, panels::Int5, 5, 1>, kTileRows>(args);
}
void MatmulInt6I8mm(const MatmulArgs& args) {
  RunPanels<IntegerBlock<Products, panels::Int6, 6, 1>, kTileRows>(args);
}
void MatmulInt8I8mm(const MatmulArgs& args) {
  RunPanels<IntegerBlock<Products, panels::Int8, 8, 1>, kTileRows>(args);
}
void MatmulInt4x128I8mm(const MatmulArgs& args) {
  RunPanels<IntegerBlock<Products, panels::Int4x128, 4, 4>, kTileRows>(args);
}
void MatmulNf4A8I8mm(const MatmulArgs& args) {
  RunPanels<CodebookBlock<Products, kNf4Planes, kNf4One>, kTileRows>(args);
}
void MatmulFp4A8I8mm(const MatmulArgs& args) {
  RunPanels<CodebookBlock<Products, kFp4Planes, kFp4One>, kTileRows>(args);
}

}  // namespace bramble::kernels::arm
