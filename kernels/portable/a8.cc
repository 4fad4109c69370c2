#include "kernels/a8.h"

#include <cmath>
#include <cstring>

#include "kernels/math.h"
#include "kernels/portable/kernels.h"

namespace bramble::kernels::portable {
namespace {

// Below this a group counts as zero: 127 / amax stays far from overflow.
constexpr float kSmallestMaximum = 0x1p-100F;

bool QuantizeGroup(const float* x, A8Group* group) {
  *group = {};
  float amax = 0;
  bool finite = true;
  for (std::size_t i = 0; i < kA8Values; ++i) {
    const float magnitude = std::fabs(x[i]);
    finite = finite && magnitude <= 0x1.fffffep127F;
    amax = magnitude > amax ? magnitude : amax;
  }
  if (!finite || amax < kSmallestMaximum) return finite;
  group->scale = amax / 127.0F;
  const float inverse = 127.0F / amax;
  for (std::size_t i = 0; i < kA8Values; ++i) {
    const auto q = static_cast<std::int8_t>(RoundToWhole(x[i] * inverse));
    group->q[i] = q;
    group->half_sums[i / 16] = static_cast<std::int16_t>(group->half_sums[i / 16] + q);
  }
  group->sum = group->half_sums[0] + group->half_sums[1];
  group->scaled_sum = group->scale * static_cast<float>(group->sum);
  return true;
}

}  // namespace

bool QuantizeA8(const float* x, std::size_t n, std::byte* row) {
  for (std::size_t i = 0; i < n; i += kA8Values, row += sizeof(A8Group)) {
    A8Group group;
    if (!QuantizeGroup(x + i, &group)) return false;
    std::memcpy(row, &group, sizeof(group));
  }
  return true;
}

}  // namespace bramble::kernels::portable
