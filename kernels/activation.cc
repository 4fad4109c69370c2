#include "kernels/activation.h"

#include "kernels/portable/kernels.h"
#if defined(__x86_64__)
#include "kernels/x86/kernels.h"
#elif defined(__aarch64__)
#include "kernels/arm/kernels.h"
#endif

namespace bramble::kernels {
namespace {

#if defined(__x86_64__)
template <Function kFunction>
void ActivateAvx2(const float* x, std::size_t n, float* y) {
  x86::ActivateAvx2(kFunction, x, n, y);
}

template <Function kFunction>
void GateAvx2(const float* a, const float* b, float limit, float offset, std::size_t n, float* y) {
  x86::GateAvx2(kFunction, a, b, limit, offset, n, y);
}
#elif defined(__aarch64__)
template <Function kFunction>
void ActivateNeon(const float* x, std::size_t n, float* y) {
  arm::ActivateNeon(kFunction, x, n, y);
}

template <Function kFunction>
void GateNeon(const float* a, const float* b, float limit, float offset, std::size_t n, float* y) {
  arm::GateNeon(kFunction, a, b, limit, offset, n, y);
}
#endif

template <Function kFunction>
constexpr Row<ActivationFn> kActivations[] = {
#if defined(__x86_64__)
    {"activation/avx2", kAvx2, ActivateAvx2<kFunction>},
#elif defined(__aarch64__)
    {"activation/neon", kNeon, ActivateNeon<kFunction>},
#endif
    {"activation/portable", kNothing, portable::Activate<kFunction>},
};

template <Function kFunction>
constexpr Row<GateFn> kGates[] = {
#if defined(__x86_64__)
    {"gate/avx2", kAvx2, GateAvx2<kFunction>},
#elif defined(__aarch64__)
    {"gate/neon", kNeon, GateNeon<kFunction>},
#endif
    {"gate/portable", kNothing, portable::Gate<kFunction>},
};

struct FunctionRows {
  Function function;
  Rows<ActivationFn> activations;
  Rows<GateFn> gates;
};

template <Function kFunction>
FunctionRows RowsOf() {
  return {kFunction, kActivations<kFunction>, kGates<kFunction>};
}

FunctionRows Find(Function function) {
  switch (function) {
    case Function::kRelu:
      return RowsOf<Function::kRelu>();
    case Function::kReluSquared:
      return RowsOf<Function::kReluSquared>();
    case Function::kRelu6:
      return RowsOf<Function::kRelu6>();
    case Function::kGeluTanh:
      return RowsOf<Function::kGeluTanh>();
    case Function::kGeluErf:
      return RowsOf<Function::kGeluErf>();
    case Function::kGeluQuick:
      return RowsOf<Function::kGeluQuick>();
    case Function::kSilu:
      return RowsOf<Function::kSilu>();
    case Function::kTanh:
      return RowsOf<Function::kTanh>();
    case Function::kSigmoid:
      return RowsOf<Function::kSigmoid>();
    case Function::kSoftplus:
      return RowsOf<Function::kSoftplus>();
  }
  return {function, {}, {}};
}

}  // namespace

Rows<ActivationFn> ActivationRows(Function function) { return Find(function).activations; }
Rows<GateFn> GateRows(Function function) { return Find(function).gates; }

}  // namespace bramble::kernels
