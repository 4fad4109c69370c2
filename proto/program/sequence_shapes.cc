#include "proto/program/sequence_shapes.h"

#include <cstdint>

#include "proto/program/limits.h"
#include "proto/program/shape_rules.h"

namespace bramble::program {
namespace {

// The state cache at `index`, of `rows` rows of `width` numbers.
Status StateOf(const Site& site, std::uint32_t index, std::uint64_t rows, std::uint64_t width) {
  if (index >= static_cast<std::uint32_t>(site.program.caches_size())) {
    return Invalid("cache ", index, ": the program has ", site.program.caches_size());
  }
  const v1::Cache& cache = site.program.caches(static_cast<int>(index));
  if (!cache.has_state())
    return Invalid("cache ", index, " holds keys and values, must be a state");
  if (cache.state().rows() == rows && cache.state().width() == width) return {};
  return Invalid("cache ", index, " is [", cache.state().rows(), ", ", cache.state().width(),
                 "], must be [", rows, ", ", width, "]");
}

// All operands are rows of tokens.
Status TokenRows(const Site& site) {
  RETURN_IF_ERROR(Rows("the output", site.out(0), v1::ROW_KIND_TOKEN));
  for (int i = 0; i < site.op.inputs_size(); ++i) {
    RETURN_IF_ERROR(Rows("an input", site.in(i), v1::ROW_KIND_TOKEN));
  }
  return {};
}

Status CheckCausal(const Site& site) {
  const v1::Convolution& convolution = site.op.convolution();
  RETURN_IF_ERROR(SameShapes(site, 1));
  RETURN_IF_ERROR(TokenRows(site));
  if (convolution.stride_size() != 0 || convolution.pad_size() != 0 || convolution.groups() != 0 ||
      convolution.function() != v1::FUNCTION_UNSPECIFIED || convolution.grid_size() != 0 ||
      convolution.kernel_size() != 0 || convolution.pad_value() != 0) {
    return Invalid("KIND_CAUSAL has a weight, a bias and a cache only");
  }
  if (convolution.has_integer()) return NotRun("integer arithmetic");
  const std::uint64_t width = site.out(0).width();
  ASSIGN_OR_RETURN(const v1::Weight* weight, WeightAt(site, "weight", convolution.weight()));
  const std::uint64_t taps = weight->shape(0);
  if (taps < 2 || taps > kMaxTaps) {
    return Invalid("weight has ", taps, " taps, must have 2 to ", kMaxTaps);
  }
  RETURN_IF_ERROR(FloatMatrix(site, "weight", convolution.weight(), taps, width));
  if (convolution.has_bias()) {
    RETURN_IF_ERROR(Vector(site, "bias", convolution.bias(), width));
  }
  if (!convolution.has_cache()) return Invalid("has no cache");
  return StateOf(site, convolution.cache(), taps - 1, width);
}

Status CheckWeightCount(const v1::Recurrence& recurrence, int want) {
  if (recurrence.weights_size() == want) return {};
  return Invalid("has ", recurrence.weights_size(), " weights, needs ", want);
}

Status CheckWkv(const Site& site) {
  const v1::Recurrence& recurrence = site.op.recurrence();
  RETURN_IF_ERROR(SameShapes(site, 2));
  RETURN_IF_ERROR(TokenRows(site));
  if (recurrence.heads() != 0 || recurrence.state_size() != 0) {
    return Invalid("KIND_WKV has neither heads nor state_size");
  }
  const std::uint64_t width = site.out(0).width();
  RETURN_IF_ERROR(CheckWeightCount(recurrence, 2));
  RETURN_IF_ERROR(Vector(site, "decay", recurrence.weights(0), width));
  RETURN_IF_ERROR(Vector(site, "first", recurrence.weights(1), width));
  return StateOf(site, recurrence.cache(), 3, width);
}

// Mamba's two forms: a decay for each number of the state, or one for each head.
Status CheckStateSpace(const Site& site, bool dual) {
  const v1::Recurrence& recurrence = site.op.recurrence();
  RETURN_IF_ERROR(Operands(site, 4, 1));
  RETURN_IF_ERROR(TokenRows(site));
  const std::uint64_t width = site.out(0).width();
  const std::uint64_t heads = recurrence.heads();
  const std::uint64_t state = recurrence.state_size();
  if (heads == 0 || (dual ? width % heads != 0 : heads != width)) {
    return Invalid("heads is ", heads,
                   dual ? ", must divide the width of " : ", must be the width, ", width);
  }
  if (state == 0 || state > kMaxStateSize) {
    return Invalid("state_size is ", state, ", must be 1 to ", kMaxStateSize);
  }
  RETURN_IF_ERROR(Width("x", site.in(0), width));
  RETURN_IF_ERROR(Width("step", site.in(1), heads));
  const std::uint64_t groups = site.in(2).width() / state;
  if (site.in(2).width() % state != 0 || heads % groups != 0 || (!dual && groups != 1)) {
    return Invalid("b is ", site.in(2).width(), " wide: not state_size times a number of groups");
  }
  RETURN_IF_ERROR(Width("c", site.in(3), site.in(2).width()));
  RETURN_IF_ERROR(CheckWeightCount(recurrence, 2));
  if (dual) {
    RETURN_IF_ERROR(Vector(site, "decay", recurrence.weights(0), heads));
  } else {
    RETURN_IF_ERROR(FloatMatrix(site, "decay", recurrence.weights(0), width, state));
  }
  RETURN_IF_ERROR(Vector(site, "skip", recurrence.weights(1), heads));
  if (width * state > kMaxWidth) {
    return Invalid("the state of ", width, " times ", state, " numbers is more than ", kMaxWidth);
  }
  return StateOf(site, recurrence.cache(), 1, width * state);
}

}  // namespace

Status CheckConvolution(const Site& site) {
  const v1::Convolution::Kind kind = site.op.convolution().kind();
  if (kind == v1::Convolution::KIND_CAUSAL) return CheckCausal(site);
  if (kind != v1::Convolution::KIND_UNSPECIFIED && v1::Convolution::Kind_IsValid(kind)) {
    return NotRun("convolution ", v1::Convolution::Kind_Name(kind));
  }
  return Invalid("kind ", static_cast<int>(kind), " does not exist");
}

Status CheckPool(const Site& site) {
  const v1::Pool& pool = site.op.pool();
  RETURN_IF_ERROR(Operands(site, 1, 1));
  if (pool.kind() == v1::Pool::KIND_UNSPECIFIED || !v1::Pool::Kind_IsValid(pool.kind())) {
    return Invalid("kind ", static_cast<int>(pool.kind()), " does not exist");
  }
  if (pool.has_integer()) return NotRun("integer arithmetic");
  if (pool.window_size() != 0 || pool.grid_size() != 0) return NotRun("a pool over a window");
  RETURN_IF_ERROR(Rows("the input", site.in(0), v1::ROW_KIND_TOKEN));
  RETURN_IF_ERROR(Rows("the output", site.out(0), v1::ROW_KIND_SEQUENCE));
  return Width("the output", site.out(0), site.in(0).width());
}

Status CheckRecurrence(const Site& site) {
  const v1::Recurrence::Kind kind = site.op.recurrence().kind();
  switch (kind) {
    case v1::Recurrence::KIND_SELECTIVE_SCAN:
      return CheckStateSpace(site, false);
    case v1::Recurrence::KIND_STATE_SPACE_DUAL:
      return CheckStateSpace(site, true);
    case v1::Recurrence::KIND_WKV:
      return CheckWkv(site);
    default:
      break;
  }
  if (kind != v1::Recurrence::KIND_UNSPECIFIED && v1::Recurrence::Kind_IsValid(kind)) {
    return NotRun("recurrence ", v1::Recurrence::Kind_Name(kind));
  }
  return Invalid("kind ", static_cast<int>(kind), " does not exist");
}

}  // namespace bramble::program
