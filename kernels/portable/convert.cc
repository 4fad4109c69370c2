#include "kernels/convert.h"

#include "kernels/portable/kernels.h"

namespace bramble::kernels::portable {

void FloatsToHalves(const float* x, std::size_t n, std::uint16_t* y) {
  for (std::size_t i = 0; i < n; ++i) y[i] = FloatToHalf(x[i]);
}

}  // namespace bramble::kernels::portable
