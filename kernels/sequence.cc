#include "kernels/sequence.h"

#include "kernels/portable/kernels.h"
#if defined(__x86_64__)
#include "kernels/x86/kernels.h"
#elif defined(__aarch64__)
#include "kernels/arm/kernels.h"
#endif

namespace bramble::kernels {
namespace {

constexpr Row<ConvolutionFn> kConvolutionRows[] = {
#if defined(__x86_64__)
    {"convolution/avx2", kAvx2, x86::ConvolutionAvx2},
#elif defined(__aarch64__)
    {"convolution/neon", kNeon, arm::ConvolutionNeon},
#endif
    {"convolution/portable", kNothing, portable::Convolution},
};
constexpr Row<StateSpaceFn> kSelectiveScanRows[] = {
#if defined(__x86_64__)
    {"selective_scan/avx2", kAvx2, x86::SelectiveScanAvx2},
#elif defined(__aarch64__)
    {"selective_scan/neon", kNeon, arm::SelectiveScanNeon},
#endif
    {"selective_scan/portable", kNothing, portable::SelectiveScan},
};
constexpr Row<StateSpaceFn> kStateSpaceDualRows[] = {
#if defined(__x86_64__)
    {"state_space_dual/avx2", kAvx2, x86::StateSpaceDualAvx2},
#elif defined(__aarch64__)
    {"state_space_dual/neon", kNeon, arm::StateSpaceDualNeon},
#endif
    {"state_space_dual/portable", kNothing, portable::StateSpaceDual},
};
constexpr Row<WkvFn> kWkvRows[] = {
#if defined(__x86_64__)
    {"wkv/avx2", kAvx2, x86::WkvAvx2},
#elif defined(__aarch64__)
    {"wkv/neon", kNeon, arm::WkvNeon},
#endif
    {"wkv/portable", kNothing, portable::Wkv},
};

}  // namespace

Rows<ConvolutionFn> ConvolutionRows() { return kConvolutionRows; }
Rows<StateSpaceFn> SelectiveScanRows() { return kSelectiveScanRows; }
Rows<StateSpaceFn> StateSpaceDualRows() { return kStateSpaceDualRows; }
Rows<WkvFn> WkvRows() { return kWkvRows; }

}  // namespace bramble::kernels
