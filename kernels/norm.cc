#include "kernels/norm.h"

#include "kernels/portable/kernels.h"
#if defined(__x86_64__)
#include "kernels/x86/kernels.h"
#endif

namespace bramble::kernels {
namespace {

constexpr Row<NormFn> kRmsRows[] = {
#if defined(__x86_64__)
    {"rms_norm/avx2", kAvx2, x86::RmsNormAvx2},
#endif
    {"rms_norm/portable", kNothing, portable::RmsNorm},
};
constexpr Row<NormFn> kLayerRows[] = {
#if defined(__x86_64__)
    {"layer_norm/avx2", kAvx2, x86::LayerNormAvx2},
#endif
    {"layer_norm/portable", kNothing, portable::LayerNorm},
};
constexpr Row<NormFn> kL2Rows[] = {
#if defined(__x86_64__)
    {"l2_norm/avx2", kAvx2, x86::L2NormAvx2},
#endif
    {"l2_norm/portable", kNothing, portable::L2Norm},
};

}  // namespace

Rows<NormFn> RmsNormRows() { return kRmsRows; }
Rows<NormFn> LayerNormRows() { return kLayerRows; }
Rows<NormFn> L2NormRows() { return kL2Rows; }

}  // namespace bramble::kernels
