#include "kernels/attention.h"

#include "kernels/portable/kernels.h"

namespace bramble::kernels {
namespace {

constexpr Row<AttentionFn> kRows[] = {
    {"attention/portable", kNothing, portable::Attention},
};

}  // namespace

Rows<AttentionFn> AttentionRows() { return kRows; }

}  // namespace bramble::kernels
