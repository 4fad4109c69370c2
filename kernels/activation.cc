#include "kernels/activation.h"

#include "kernels/portable/kernels.h"

namespace bramble::kernels {
namespace {

template <Function kFunction>
constexpr Row<ActivationFn> kActivations[] = {
    {"activation/portable", kNothing, portable::Activate<kFunction>},
};

template <Function kFunction>
constexpr Row<GateFn> kGates[] = {
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
