#include "kernels/attention.h"

#include "kernels/portable/kernels.h"
#if defined(__x86_64__)
#include "kernels/x86/kernels.h"
#elif defined(__aarch64__)
#include "kernels/arm/kernels.h"
#endif

namespace bramble::kernels {
namespace {

constexpr Row<AttentionFn> kRows[] = {
#if defined(__x86_64__)
    {"attention/avx2", kAvx2, x86::AttentionAvx2},
#elif defined(__aarch64__)
    {"attention/neon", kNeon, arm::AttentionNeon},
#endif
    {"attention/portable", kNothing, portable::Attention},
};

}  // namespace

Rows<AttentionFn> AttentionRows() { return kRows; }

}  // namespace bramble::kernels
