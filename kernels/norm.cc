#include "kernels/norm.h"

#include "kernels/portable/kernels.h"

namespace bramble::kernels {
namespace {

constexpr Row<NormFn> kRmsRows[] = {
    {"rms_norm/portable", kNothing, portable::RmsNorm},
};
constexpr Row<NormFn> kLayerRows[] = {
    {"layer_norm/portable", kNothing, portable::LayerNorm},
};
constexpr Row<NormFn> kL2Rows[] = {
    {"l2_norm/portable", kNothing, portable::L2Norm},
};

}  // namespace

Rows<NormFn> RmsNormRows() { return kRmsRows; }
Rows<NormFn> LayerNormRows() { return kLayerRows; }
Rows<NormFn> L2NormRows() { return kL2Rows; }

}  // namespace bramble::kernels
