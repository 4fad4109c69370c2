// The tree that joins the sums of up to 8 segments. For ordinary code only.
#pragma once

#include <cstddef>

#include "kernels/matmul.h"

namespace bramble::kernels::portable {

// ((s0+s1)+(s2+s3)) + ((s4+s5)+(s6+s7)); where leaves are missing, a node with one child is that
// child. sums[s * stride] is segment s; count: 1 to 8.
inline float JoinSegments(const float* sums, std::size_t stride, std::size_t count) {
  float level[kMaxSegments] = {};
  for (std::size_t s = 0; s < count; ++s) level[s] = sums[s * stride];
  for (std::size_t n = count; n > 1; n = (n + 1) / 2) {
    for (std::size_t s = 0; s < n / 2; ++s) level[s] = level[2 * s] + level[2 * s + 1];
    if (n % 2 != 0) level[n / 2] = level[n - 1];
  }
  return level[0];
}

}  // namespace bramble::kernels::portable
