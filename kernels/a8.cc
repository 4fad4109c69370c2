#include "kernels/a8.h"

#include "kernels/portable/kernels.h"

namespace bramble::kernels {
namespace {

constexpr Row<QuantizeA8Fn> kRows[] = {
    {"quantize_a8/portable", kNothing, portable::QuantizeA8},
};

}  // namespace

Rows<QuantizeA8Fn> QuantizeA8Rows() { return kRows; }

}  // namespace bramble::kernels
