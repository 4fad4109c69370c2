#include "kernels/a8.h"

#include "kernels/portable/kernels.h"
#if defined(__x86_64__)
#include "kernels/x86/kernels.h"
#elif defined(__aarch64__)
#include "kernels/arm/kernels.h"
#endif

namespace bramble::kernels {
namespace {

constexpr Row<QuantizeA8Fn> kRows[] = {
#if defined(__x86_64__)
    {"quantize_a8/avx2", kAvx2, x86::QuantizeA8Avx2},
#elif defined(__aarch64__)
    {"quantize_a8/neon", kNeon, arm::QuantizeA8Neon},
#endif
    {"quantize_a8/portable", kNothing, portable::QuantizeA8},
};

}  // namespace

Rows<QuantizeA8Fn> QuantizeA8Rows() { return kRows; }

}  // namespace bramble::kernels
