#include "kernels/arithmetic.h"

#include "kernels/portable/kernels.h"
#if defined(__x86_64__)
#include "kernels/x86/kernels.h"
#elif defined(__aarch64__)
#include "kernels/arm/kernels.h"
#endif

namespace bramble::kernels {
namespace {

constexpr Row<BinaryFn> kAddRows[] = {
    {"add/portable", kNothing, portable::Add},
};
constexpr Row<BinaryFn> kMultiplyRows[] = {
    {"multiply/portable", kNothing, portable::Multiply},
};
constexpr Row<BinaryFn> kMaximumRows[] = {
    {"maximum/portable", kNothing, portable::Maximum},
};
constexpr Row<ScalarFn> kScaleRows[] = {
    {"scale/portable", kNothing, portable::Scale},
};
constexpr Row<ScalarFn> kAddScaledRows[] = {
#if defined(__x86_64__)
    {"add_scaled/avx2", kAvx2, x86::AddScaledAvx2},
#elif defined(__aarch64__)
    {"add_scaled/neon", kNeon, arm::AddScaledNeon},
#endif
    {"add_scaled/portable", kNothing, portable::AddScaled},
};
constexpr Row<ScalarFn> kSoftCapRows[] = {
#if defined(__x86_64__)
    {"soft_cap/avx2", kAvx2, x86::SoftCapAvx2},
#elif defined(__aarch64__)
    {"soft_cap/neon", kNeon, arm::SoftCapNeon},
#endif
    {"soft_cap/portable", kNothing, portable::SoftCap},
};
constexpr Row<ScalarFn> kClampRows[] = {
    {"clamp/portable", kNothing, portable::Clamp},
};

}  // namespace

Rows<BinaryFn> AddRows() { return kAddRows; }
Rows<BinaryFn> MultiplyRows() { return kMultiplyRows; }
Rows<BinaryFn> MaximumRows() { return kMaximumRows; }
Rows<ScalarFn> ScaleRows() { return kScaleRows; }
Rows<ScalarFn> AddScaledRows() { return kAddScaledRows; }
Rows<ScalarFn> SoftCapRows() { return kSoftCapRows; }
Rows<ScalarFn> ClampRows() { return kClampRows; }

}  // namespace bramble::kernels
