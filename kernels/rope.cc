#include "kernels/rope.h"

#include "kernels/math.h"
#include "kernels/portable/kernels.h"
#if defined(__x86_64__)
#include "kernels/x86/kernels.h"
#elif defined(__aarch64__)
#include "kernels/arm/kernels.h"
#endif

namespace bramble::kernels {
namespace {

constexpr Row<RopeFn> kHalfRows[] = {
#if defined(__x86_64__)
    {"rope_half/avx2", kAvx2, x86::RopeHalfAvx2},
#elif defined(__aarch64__)
    {"rope_half/neon", kNeon, arm::RopeHalfNeon},
#endif
    {"rope_half/portable", kNothing, portable::RopeHalf},
};
constexpr Row<RopeFn> kPairRows[] = {
#if defined(__aarch64__)
    {"rope_pair/neon", kNeon, arm::RopePairNeon},
#endif
    {"rope_pair/portable", kNothing, portable::RopePair},
};

}  // namespace

Rows<RopeFn> RopeHalfRows() { return kHalfRows; }
Rows<RopeFn> RopePairRows() { return kPairRows; }

void RopeAngles(std::uint32_t position, const float* frequencies, std::size_t pairs,
                float magnitude, float* cosines, float* sines) {
  for (std::size_t i = 0; i < pairs; ++i) {
    double sine = 0;
    double cosine = 0;
    SinCos(static_cast<double>(position) * static_cast<double>(frequencies[i]), &sine, &cosine);
    cosines[i] = static_cast<float>(cosine);
    sines[i] = static_cast<float>(sine);
    if (magnitude != 1.0F) {
      cosines[i] *= magnitude;
      sines[i] *= magnitude;
    }
  }
}

}  // namespace bramble::kernels
