// Products with a8 inputs for cores without a dot product, such as the Cortex-A72.
//
// Its one multiplier takes eight products of bytes a cycle (SMULL, SMLAL), so everything else stays
// off it where it can: lane 4 o + b of a 16-bit register of sums belongs to output o and input b of
// every four, and is widened and added up when the group is done. Sixteen bits are enough: |input|
// <= 127, and each lane takes two products an Add.
#include "kernels/arm/kernels.h"
#include "kernels/arm/matmul_codebook_units.h"
#include "kernels/arm/matmul_int_units.h"
#include "kernels/arm/matmul_units.h"

namespace bramble::kernels::arm {
namespace {

// Input rows of a tile.
constexpr std::size_t kTileRows = 4;

// Four consecutive inputs, in each lane.
inline int8x16_t BroadcastFour(const std::int8_t* q) {
  return vreinterpretq_s8_s32(vld1q_dup_s32(reinterpret_cast<const std::int32_t*>(q)));
}

template <int kLargest, std::size_t kEights, std::size_t kRows, std::size_t kCount>
struct Products {
  // The most that a lane of 16 bits can reach in one Add: 32512 for the largest, bytes of -128.
  static constexpr int kReach = 2 * kLargest * 127;
  static_assert(kReach <= 32767);
  // Whether it can be left there until Finish, and whether two such lanes can be added there.
  static constexpr bool kNarrow = static_cast<int>(kEights) * kReach <= 32767;
  static constexpr bool kNarrowPairs = 2 * static_cast<int>(kEights) * kReach <= 32767;

  // [..][i][0]: outputs 4 i and 4 i + 1, [1]: the next two.
  int16x8_t narrow[kRows][kCount][2];
  int32x4_t wide[kRows][kCount][2];  // only if not kNarrow
  std::int32_t minus[kRows];

  [[gnu::always_inline]] void Start(const std::int32_t (&start)[kRows]) {
    for (std::size_t r = 0; r < kRows; ++r) {
      minus[r] = start[r];
      for (std::size_t i = 0; i < kCount; ++i) {
        for (std::size_t pair = 0; pair < 2; ++pair) {
          narrow[r][i][pair] = vdupq_n_s16(0);
          wide[r][i][pair] = vdupq_n_s32(0);
        }
      }
    }
  }

  template <std::size_t kEight>
  [[gnu::always_inline]] void Add(const int8x16_t (&first)[kCount],
                                  const int8x16_t (&second)[kCount],
                                  const std::byte* const* inputs) {
    for (std::size_t r = 0; r < kRows; ++r) {
      const std::int8_t* q = GroupAt(inputs[r]).q + 8 * kEight;
      const int8x16_t x = BroadcastFour(q);
      const int8x16_t y = BroadcastFour(q + 4);
      for (std::size_t i = 0; i < kCount; ++i) {
        if constexpr (kNarrow) {
          int16x8_t* sums = narrow[r][i];
          sums[0] = vmlal_s8(sums[0], vget_low_s8(first[i]), vget_low_s8(x));
          sums[1] = vmlal_high_s8(sums[1], first[i], x);
          sums[0] = vmlal_s8(sums[0], vget_low_s8(second[i]), vget_low_s8(y));
          sums[1] = vmlal_high_s8(sums[1], second[i], y);
        } else {
          const int16x8_t low = vmlal_s8(vmull_s8(vget_low_s8(first[i]), vget_low_s8(x)),
                                         vget_low_s8(second[i]), vget_low_s8(y));
          const int16x8_t high = vmlal_high_s8(vmull_high_s8(first[i], x), second[i], y);
          wide[r][i][0] = vpadalq_s16(wide[r][i][0], low);
          wide[r][i][1] = vpadalq_s16(wide[r][i][1], high);
        }
      }
    }
  }

  [[gnu::always_inline]] void Finish(int32x4_t (&sums)[kRows][kCount]) const {
    for (std::size_t r = 0; r < kRows; ++r) {
      for (std::size_t i = 0; i < kCount; ++i) {
        int32x4_t sum;
        if constexpr (kNarrowPairs) {
          sum = vpaddlq_s16(vpaddq_s16(narrow[r][i][0], narrow[r][i][1]));
        } else if constexpr (kNarrow) {
          sum = vpaddq_s32(vpaddlq_s16(narrow[r][i][0]), vpaddlq_s16(narrow[r][i][1]));
        } else {
          sum = vpaddq_s32(wide[r][i][0], wide[r][i][1]);
        }
        sums[r][i] = vsubq_s32(sum, vdupq_n_s32(minus[r]));
      }
    }
  }
};

}  // namespace

void MatmulQ40Neon(const MatmulArgs& args) {
  RunPanels<Block<Products, panels::Q40, 4, 8, false>, kTileRows>(args);
}
void MatmulQ41Neon(const MatmulArgs& args) {
  RunPanels<Block<Products, panels::Q41, 4, 0, true>, kTileRows>(args);
}
void MatmulQ50Neon(const MatmulArgs& args) {
  RunPanels<Block<Products, panels::Q50, 5, 16, false>, kTileRows>(args);
}
void MatmulQ51Neon(const MatmulArgs& args) {
  RunPanels<Block<Products, panels::Q51, 5, 0, true>, kTileRows>(args);
}
void MatmulQ80Neon(const MatmulArgs& args) {
  RunPanels<Block<Products, panels::Q80, 8, 0, false>, kTileRows>(args);
}
void MatmulQ2KNeon(const MatmulArgs& args) {
  RunPanels<SuperBlock<Products, WeightsQ2K>, kTileRows>(args);
}
void MatmulQ3KNeon(const MatmulArgs& args) {
  RunPanels<SuperBlock<Products, WeightsQ3K>, kTileRows>(args);
}
void MatmulQ4KNeon(const MatmulArgs& args) {
  RunPanels<SuperBlock<Products, WeightsQ4K>, kTileRows>(args);
}
void MatmulQ5KNeon(const MatmulArgs& args) {
  RunPanels<SuperBlock<Products, WeightsQ5K>, kTileRows>(args);
}
void MatmulQ6KNeon(const MatmulArgs& args) {
  RunPanels<SuperBlock<Products, WeightsQ6K>, kTileRows>(args);
}
void MatmulInt2Neon(const MatmulArgs& args) {
  RunPanels<IntegerBlock<Products, panels::Int2, 2, 1>, kTileRows>(args);
}
void MatmulInt3Neon(const MatmulArgs& args) {
  RunPanels<IntegerBlock<Products, panels::Int3, 3, 1>, kTileRows>(args);
}
void MatmulInt4Neon(const MatmulArgs& args) {
  RunPanels<IntegerBlock<Products, panels::Int4, 4, 1>, kTileRows>(args);
}
void MatmulInt5Neon(const MatmulArgs& args) {
  RunPanels<IntegerBlock<Products, panels::Int5, 5, 1>, kTileRows>(args);
}
void MatmulInt6Neon(const MatmulArgs& args) {
  RunPanels<IntegerBlock<Products, panels::Int6, 6, 1>, kTileRows>(args);
}
void MatmulInt8Neon(const MatmulArgs& args) {
  RunPanels<IntegerBlock<Products, panels::Int8, 8, 1>, kTileRows>(args);
}
void MatmulInt4x128Neon(const MatmulArgs& args) {
  RunPanels<IntegerBlock<Products, panels::Int4x128, 4, 4>, kTileRows>(args);
}
void MatmulNf4A8Neon(const MatmulArgs& args) {
  RunPanels<CodebookBlock<Products, kNf4Planes, kNf4One>, kTileRows>(args);
}
void MatmulFp4A8Neon(const MatmulArgs& args) {
  RunPanels<CodebookBlock<Products, kFp4Planes, kFp4One>, kTileRows>(args);
}

}  // namespace bramble::kernels::arm
