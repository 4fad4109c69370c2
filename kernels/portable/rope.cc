#include "kernels/rope.h"

#include "kernels/math.h"
#include "kernels/portable/kernels.h"

namespace bramble::kernels::portable {
namespace {

// Pair i of a head is the numbers i * step and i * step + distance.
void Turn(const float* x, const float* cosines, const float* sines, std::size_t pairs,
          std::size_t step, std::size_t distance, float* y) {
  for (std::size_t i = 0; i < pairs; ++i) {
    const float a = x[i * step];
    const float b = x[i * step + distance];
    y[i * step] = Fma(a, cosines[i], -(b * sines[i]));
    y[i * step + distance] = Fma(a, sines[i], b * cosines[i]);
  }
}

void CopyRest(const float* x, std::size_t from, std::size_t to, float* y) {
  for (std::size_t i = from; i < to; ++i) y[i] = x[i];
}

}  // namespace

void RopeHalf(const float* x, const float* cosines, const float* sines, std::size_t pairs,
              std::size_t heads, std::size_t head_dim, float* y) {
  for (std::size_t h = 0; h < heads; ++h, x += head_dim, y += head_dim) {
    Turn(x, cosines, sines, pairs, 1, pairs, y);
    CopyRest(x, 2 * pairs, head_dim, y);
  }
}

void RopePair(const float* x, const float* cosines, const float* sines, std::size_t pairs,
              std::size_t heads, std::size_t head_dim, float* y) {
  for (std::size_t h = 0; h < heads; ++h, x += head_dim, y += head_dim) {
    Turn(x, cosines, sines, pairs, 2, 1, y);
    CopyRest(x, 2 * pairs, head_dim, y);
  }
}

}  // namespace bramble::kernels::portable
