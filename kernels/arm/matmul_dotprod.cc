// Products with a8 inputs for cores with SDOT, such as the Cortex-A76: four products of bytes added
// to each of four 32-bit sums, two such instructions a cycle. A register of a panel's line is four
// outputs with four inputs each, which is what SDOT wants; the inputs come from one register of 16,
// chosen by lane.
#include "kernels/arm/kernels.h"
#include "kernels/arm/matmul_codebook_units.h"
#include "kernels/arm/matmul_int_units.h"
#include "kernels/arm/matmul_units.h"
#include "kernels/arm/products_dotprod.h"

namespace bramble::kernels::arm {
namespace {

// Input rows of a tile.
constexpr std::size_t kTileRows = 4;

template <int kLargest, std::size_t kEights, std::size_t kRows, std::size_t kCount>
using Products = DotProducts<kRows, kCount>;

}  // namespace

void MatmulQ40Dotprod(const MatmulArgs& args) {
  RunPanels<Block<Products, panels::Q40, 4, 8, false>, kTileRows>(args);
}
void MatmulQ41Dotprod(const MatmulArgs& args) {
  RunPanels<Block<Products, panels::Q41, 4, 0, true>, kTileRows>(args);
}
void MatmulQ50Dotprod(const MatmulArgs& args) {
  RunPanels<Block<Products, panels::Q50, 5, 16, false>, kTileRows>(args);
}
void MatmulQ51Dotprod(const MatmulArgs& args) {
  RunPanels<Block<Products, panels::Q51, 5, 0, true>, kTileRows>(args);
}
void MatmulQ80Dotprod(const MatmulArgs& args) {
  RunPanels<Block<Products, panels::Q80, 8, 0, false>, kTileRows>(args);
}
void MatmulQ2KDotprod(const MatmulArgs& args) {
  RunPanels<SuperBlock<Products, WeightsQ2K>, kTileRows>(args);
}
void MatmulQ3KDotprod(const MatmulArgs& args) {
  RunPanels<SuperBlock<Products, WeightsQ3K>, kTileRows>(args);
}
void MatmulQ4KDotprod(const MatmulArgs& args) {
  RunPanels<SuperBlock<Products, WeightsQ4K>, kTileRows>(args);
}
void MatmulQ5KDotprod(const MatmulArgs& args) {
  RunPanels<SuperBlock<Products, WeightsQ5K>, kTileRows>(args);
}
void MatmulQ6KDotprod(const MatmulArgs& args) {
  RunPanels<SuperBlock<Products, WeightsQ6K>, kTileRows>(args);
}
void MatmulInt2Dotprod(const MatmulArgs& args) {
  RunPanels<IntegerBlock<Products, panels::Int2, 2, 1>, kTileRows>(args);
}
void MatmulInt3Dotprod(const MatmulArgs& args) {
  RunPanels<IntegerBlock<Products, panels::Int3, 3, 1>, kTileRows>(args);
}
void MatmulInt4Dotprod(const MatmulArgs& args) {
  RunPanels<IntegerBlock<Products, panels::Int4, 4, 1>, kTileRows>(args);
}
void MatmulInt5Dotprod(const MatmulArgs& args) {
  RunPanels<IntegerBlock<Products, panels::Int5, 5, 1>, kTileRows>(args);
}
void MatmulInt6Dotprod(const MatmulArgs& args) {
  RunPanels<IntegerBlock<Products, panels::Int6, 6, 1>, kTileRows>(args);
}
void MatmulInt8Dotprod(const MatmulArgs& args) {
  RunPanels<IntegerBlock<Products, panels::Int8, 8, 1>, kTileRows>(args);
}
void MatmulInt4x128Dotprod(const MatmulArgs& args) {
  RunPanels<IntegerBlock<Products, panels::Int4x128, 4, 4>, kTileRows>(args);
}
void MatmulNf4A8Dotprod(const MatmulArgs& args) {
  RunPanels<CodebookBlock<Products, kNf4Planes, kNf4One>, kTileRows>(args);
}
void MatmulFp4A8Dotprod(const MatmulArgs& args) {
  RunPanels<CodebookBlock<Products, kFp4Planes, kFp4One>, kTileRows>(args);
}

}  // namespace bramble::kernels::arm
