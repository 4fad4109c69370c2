#include "proto/program/moe.h"

#include <algorithm>
#include <cmath>

#include "proto/program/limits.h"
#include "proto/program/shape_rules.h"
#include "proto/program/weights.h"

namespace bramble::program {
namespace {

using Indices = google::protobuf::RepeatedField<std::uint32_t>;

Status CheckThreshold(const v1::Moe& moe) {
  if (moe.score() != v1::Moe::SCORE_THRESHOLD) {
    if (moe.threshold() == 0) return {};
    return Invalid("threshold belongs to SCORE_THRESHOLD");
  }
  if (moe.groups() != 0 || moe.has_selection_bias()) {
    return Invalid("SCORE_THRESHOLD takes neither groups nor a selection_bias");
  }
  return AtLeastZero("threshold", moe.threshold());
}

Status CheckGroups(const v1::Moe& moe) {
  if (moe.groups() == 0) {
    if (moe.groups_per_row() == 0 && moe.group_score() == v1::Moe::GROUP_SCORE_UNSPECIFIED) {
      return {};
    }
    return Invalid("groups_per_row and group_score belong to groups");
  }
  if (moe.groups() > moe.experts() || moe.experts() % moe.groups() != 0) {
    return Invalid(moe.experts(), " experts are not ", moe.groups(), " equal groups");
  }
  if (moe.groups_per_row() == 0 || moe.groups_per_row() > moe.groups()) {
    return Invalid("groups_per_row is ", moe.groups_per_row(), ", must be 1 to ", moe.groups());
  }
  if (moe.group_score() == v1::Moe::GROUP_SCORE_UNSPECIFIED ||
      !v1::Moe::GroupScore_IsValid(moe.group_score())) {
    return Invalid("group_score ", static_cast<int>(moe.group_score()), " does not exist");
  }
  const std::uint32_t open = moe.experts() / moe.groups() * moe.groups_per_row();
  if (open >= moe.experts_per_row()) return {};
  return Invalid(moe.groups_per_row(), " groups have ", open, " experts, a row needs ",
                 moe.experts_per_row());
}

Status CheckRouter(const Site& site) {
  const v1::Moe& moe = site.op.moe();
  if (moe.experts() == 0 || moe.experts() > kMaxExperts) {
    return Invalid("experts is ", moe.experts(), ", must be 1 to ", kMaxExperts);
  }
  const std::uint32_t most = std::min(moe.experts(), kMaxExpertsPerRow);
  if (moe.experts_per_row() == 0 || moe.experts_per_row() > most) {
    return Invalid("experts_per_row is ", moe.experts_per_row(), ", must be 1 to ", most);
  }
  if (moe.score() == v1::Moe::SCORE_UNSPECIFIED || !v1::Moe::Score_IsValid(moe.score())) {
    return Invalid("score ", static_cast<int>(moe.score()), " does not exist");
  }
  RETURN_IF_ERROR(CheckThreshold(moe));
  RETURN_IF_ERROR(CheckGroups(moe));
  RETURN_IF_ERROR(Positive("scale", moe.scale()));
  if (moe.has_selection_bias()) {
    RETURN_IF_ERROR(Vector(site, "selection_bias", moe.selection_bias(), moe.experts()));
  }
  if (moe.has_expert_scale()) {
    RETURN_IF_ERROR(Vector(site, "expert_scale", moe.expert_scale(), moe.experts()));
  }
  if (moe.task_ranges_size() != 0) return NotRun("a choice by task (task_ranges)");
  return {};
}

// One matrix [outputs, inputs] for each expert, all in one encoding.
Status CheckStack(const Site& site, const char* what, const Indices& stack, std::uint64_t outputs,
                  std::uint64_t inputs) {
  const std::uint64_t experts = site.op.moe().experts();
  if (stack.empty()) return Invalid("has no ", what);
  if (static_cast<std::uint64_t>(stack.size()) > experts) {
    return Invalid(what, " has ", stack.size(), " weights for ", experts, " experts");
  }
  std::uint64_t count = 0;
  v1::Encoding encoding = v1::ENCODING_UNSPECIFIED;
  for (const std::uint32_t index : stack) {
    ASSIGN_OR_RETURN(const v1::Weight* weight, WeightAt(site, what, index));
    const int dims = weight->shape_size();
    if (dims < 2 || dims > 3 || weight->shape(dims - 2) != outputs ||
        weight->shape(dims - 1) != inputs) {
      return Invalid(what, " has the shape ", ShapeText(*weight), ", must have [", outputs, ", ",
                     inputs, "] for each expert");
    }
    if (encoding == v1::ENCODING_UNSPECIFIED) encoding = weight->encoding();
    if (weight->encoding() != encoding) {
      return Invalid(what, " is partly in ", v1::Encoding_Name(encoding), " and partly in ",
                     v1::Encoding_Name(weight->encoding()));
    }
    // Each is at most kMaxWeightBytes: the sum fits.
    count += dims == 3 ? weight->shape(0) : 1;
  }
  if (count == experts) return {};
  return Invalid(what, " has ", count, " matrices for ", experts, " experts");
}

// A row of numbers in F32 for each expert.
Status CheckBias(const Site& site, const char* what, std::uint32_t index, std::uint64_t width) {
  ASSIGN_OR_RETURN(const v1::Weight* weight, WeightAt(site, what, index));
  if (weight->encoding() != v1::ENCODING_F32) {
    return Invalid(what, " is in ", v1::Encoding_Name(weight->encoding()), ", must be in F32");
  }
  const std::uint64_t experts = site.op.moe().experts();
  if (weight->shape_size() == 2 && weight->shape(0) == experts && weight->shape(1) == width) {
    return {};
  }
  return Invalid(what, " has the shape ", ShapeText(*weight), ", must have [", experts, ", ", width,
                 "]");
}

Status CheckFunction(const v1::Moe& moe) {
  RETURN_IF_ERROR(KnownFunction(moe.function()));
  RETURN_IF_ERROR(AtLeastZero("limit", moe.limit()));
  if (!std::isfinite(moe.offset())) return Invalid("offset is not finite");
  if (moe.gate_size() > 0 || (moe.limit() == 0 && moe.offset() == 0 && !moe.has_gate_bias())) {
    return {};
  }
  return Invalid("limit, offset and gate_bias belong to experts with a gate");
}

// Requires stacks that are as they must be.
Status CheckProducts(const Site& site) {
  const v1::Moe& moe = site.op.moe();
  const v1::Weight& up = site.program.weights(static_cast<int>(moe.up(0)));
  const v1::Weight& down = site.program.weights(static_cast<int>(moe.down(0)));
  RETURN_IF_ERROR(InputFormFits(moe.input_form(), up));
  RETURN_IF_ERROR(Segments("width_segment_ends", moe.width_segment_ends(), up));
  if (moe.gate_size() > 0) {
    const v1::Weight& gate = site.program.weights(static_cast<int>(moe.gate(0)));
    RETURN_IF_ERROR(InputFormFits(moe.input_form(), gate));
    RETURN_IF_ERROR(Segments("width_segment_ends", moe.width_segment_ends(), gate));
  }
  RETURN_IF_ERROR(InputFormFits(moe.inner_form(), down));
  return Segments("inner_segment_ends", moe.inner_segment_ends(), down);
}

}  // namespace

Status CheckMoe(const Site& site) {
  const v1::Moe& moe = site.op.moe();
  RETURN_IF_ERROR(Operands(site, 2, 1));
  for (int i = 0; i < 2; ++i) {
    RETURN_IF_ERROR(Rows("an input", site.in(i), site.out(0).rows()));
  }
  RETURN_IF_ERROR(CheckRouter(site));
  RETURN_IF_ERROR(Width("the router's logits", site.in(1), moe.experts()));
  const std::uint64_t width = site.in(0).width();
  RETURN_IF_ERROR(Width("the output", site.out(0), width));
  if (moe.up_size() == 0) return Invalid("has no up");
  ASSIGN_OR_RETURN(const v1::Weight* first, WeightAt(site, "up", moe.up(0)));
  const std::uint64_t inner = first->shape_size() < 2 ? 0 : first->shape(first->shape_size() - 2);
  if (inner == 0 || inner > kMaxWidth) {
    return Invalid("up has the shape ", ShapeText(*first), ", must have 1 to ", kMaxWidth,
                   " rows for each expert");
  }
  RETURN_IF_ERROR(CheckStack(site, "up", moe.up(), inner, width));
  if (moe.gate_size() > 0) RETURN_IF_ERROR(CheckStack(site, "gate", moe.gate(), inner, width));
  RETURN_IF_ERROR(CheckStack(site, "down", moe.down(), width, inner));
  RETURN_IF_ERROR(CheckFunction(moe));
  if (moe.has_gate_bias()) {
    RETURN_IF_ERROR(CheckBias(site, "gate_bias", moe.gate_bias(), inner));
  }
  if (moe.has_up_bias()) RETURN_IF_ERROR(CheckBias(site, "up_bias", moe.up_bias(), inner));
  if (moe.has_down_bias()) RETURN_IF_ERROR(CheckBias(site, "down_bias", moe.down_bias(), width));
  RETURN_IF_ERROR(CheckProducts(site));
  const std::uint32_t most = std::min<std::uint32_t>(kMaxSegments, moe.experts());
  if (moe.sum_groups() >= 1 && moe.sum_groups() <= most) return {};
  return Invalid("sum_groups is ", moe.sum_groups(), ", must be 1 to ", most);
}

MoeShape ShapeOf(const v1::Program& program, const v1::Moe& moe) {
  const v1::Weight& up = program.weights(static_cast<int>(moe.up(0)));
  return {up.shape(up.shape_size() - 1), up.shape(up.shape_size() - 2)};
}

std::uint64_t ChoicesRowBytes(const v1::Moe& moe) {
  return moe.experts_per_row() * sizeof(ExpertSlot);
}

std::uint64_t ExpertPlanRowBytes(const v1::Moe& moe) {
  return sizeof(ExpertPlanHead) +
         moe.experts_per_row() * (sizeof(ChosenExpert) + sizeof(ExpertSlot));
}

std::uint64_t MoeScratchFloats(const v1::Moe& moe, std::uint64_t rows) {
  // The router's scratch (kernels::RouteScratchFloats; the executor asserts it) and the counts of
  // the sort are smaller than the rest for all but very many experts.
  const std::uint64_t routing = 3 * std::uint64_t{moe.experts()};
  const std::uint64_t expanding = 2 * kExpertFloats;
  // One buffer for products, one for a group's sum and three for the tree's, and a byte a row.
  const std::uint64_t sums = std::max(kExpertFloats, rows * 16);
  const std::uint64_t joining = kExpertFloats + 4 * sums + (rows + 3) / 4;
  return std::max({routing, expanding, joining});
}

}  // namespace bramble::program
