#include "kernels/norm.h"

#include "kernels/portable/kernels.h"
#if defined(__x86_64__)
#include "kernels/x86/kernels.h"
#elif defined(__aarch64__)
#include "kernels/arm/kernels.h"
#endif

namespace bramble::kernels {
namespace {

constexpr Row<NormFn> kRmsRows[] = {
#if defined(__x86_64__)
    {"rms_norm/avx2", kAvx2, x86::RmsNormAvx2},
#elif defined(__aarch64__)
    {"rms_norm/neon", kNeon, arm::RmsNormNeon},
#endif
    {"rms_norm/portable", kNothing, portable::RmsNorm},
};
constexpr Row<NormFn> kLayerRows[] = {
#if defined(__x86_64__)
    {"layer_norm/avx2", kAvx2, x86::LayerNormAvx2},
#elif defined(__aarch64__)
    {"layer_norm/neon", kNeon, arm::LayerNormNeon},
#endif
    {"layer_norm/portable", kNothing, portable::LayerNorm},
};
constexpr Row<NormFn> kL2Rows[] = {
#if defined(__x86_64__)
    {"l2_norm/avx2", kAvx2, x86::L2NormAvx2},
#elif defined(__aarch64__)
    {"l2_norm/neon", kNeon, arm::L2NormNeon},
#endif
    {"l2_norm/portable", kNothing, portable::L2Norm},
};

}  // namespace

Rows<NormFn> RmsNormRows() { return kRmsRows; }
Rows<NormFn> LayerNormRows() { return kLayerRows; }
Rows<NormFn> L2NormRows() { return kL2Rows; }

}  // namespace bramble::kernels
