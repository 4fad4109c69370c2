#pragma once

#include <cmath>
#include <cstdint>

#include "common/status.h"
#include "proto/program/limits.h"
#include "proto/program/shapes.h"
#include "proto/program/weights.h"

// Sentences of the checks of operations (shapes.cc and its siblings). The messages have no path
// yet.
namespace bramble::program {

inline Status Count(const char* what, int have, int want) {
  if (have == want) return {};
  return Invalid("has ", have, " ", what, ", needs ", want);
}

inline Status Operands(const Site& site, int inputs, int outputs) {
  RETURN_IF_ERROR(Count("inputs", site.op.inputs_size(), inputs));
  return Count("outputs", site.op.outputs_size(), outputs);
}

inline Status Width(const char* what, const v1::Value& value, std::uint64_t want) {
  if (value.width() == want) return {};
  return Invalid(what, " is ", value.width(), " wide, must be ", want);
}

inline Status Rows(const char* what, const v1::Value& value, v1::RowKind want) {
  if (value.rows() == want) return {};
  return Invalid(what, " has rows of kind ", v1::RowKind_Name(value.rows()), ", must be ",
                 v1::RowKind_Name(want));
}

// One output shaped like each of the inputs.
inline Status SameShapes(const Site& site, int inputs) {
  RETURN_IF_ERROR(Operands(site, inputs, 1));
  for (int i = 0; i < inputs; ++i) {
    RETURN_IF_ERROR(Width("an input", site.in(i), site.out(0).width()));
    RETURN_IF_ERROR(Rows("an input", site.in(i), site.out(0).rows()));
  }
  return {};
}

// The weight at `index`, which comes from a program and may be anything.
inline Result<const v1::Weight*> WeightAt(const Site& site, const char* what, std::uint32_t index) {
  if (index >= static_cast<std::uint32_t>(site.program.weights_size())) {
    return Invalid(what, " is weight ", index, ", the program has ", site.program.weights_size());
  }
  return &site.program.weights(static_cast<int>(index));
}

// A vector of `want` numbers in F32.
inline Status Vector(const Site& site, const char* what, std::uint32_t index, std::uint64_t want) {
  ASSIGN_OR_RETURN(const v1::Weight* weight, WeightAt(site, what, index));
  if (weight->encoding() != v1::ENCODING_F32) {
    return Invalid(what, " is in ", v1::Encoding_Name(weight->encoding()), ", must be in F32");
  }
  if (weight->shape_size() != 1 || weight->shape(0) != want) {
    return Invalid(what, " has the shape ", ShapeText(*weight), ", must have [", want, "]");
  }
  return {};
}

// A matrix [rows, columns] in F32.
inline Status FloatMatrix(const Site& site, const char* what, std::uint32_t index,
                          std::uint64_t rows, std::uint64_t columns) {
  ASSIGN_OR_RETURN(const v1::Weight* weight, WeightAt(site, what, index));
  if (weight->encoding() != v1::ENCODING_F32) {
    return Invalid(what, " is in ", v1::Encoding_Name(weight->encoding()), ", must be in F32");
  }
  if (weight->shape_size() == 2 && weight->shape(0) == rows && weight->shape(1) == columns) {
    return {};
  }
  return Invalid(what, " has the shape ", ShapeText(*weight), ", must have [", rows, ", ", columns,
                 "]");
}

inline Status Positive(const char* what, float value) {
  if (std::isfinite(value) && value > 0) return {};
  return Invalid(what, " is ", value, ", must be finite and above 0");
}

inline Status AtLeastZero(const char* what, float value) {
  if (std::isfinite(value) && value >= 0) return {};
  return Invalid(what, " is ", value, ", must be finite and at least 0");
}

inline Status KnownFunction(v1::Function function) {
  if (function != v1::FUNCTION_UNSPECIFIED && v1::Function_IsValid(function)) return {};
  return Invalid("function ", static_cast<int>(function), " does not exist");
}

template <typename... Parts>
inline Status NotRun(const Parts&... parts) {
  return Unimplemented(parts..., " is not run by this version");
}

// That weights [.., outputs, inputs] can be multiplied with such an input.
inline Status InputFormFits(v1::InputForm form, const v1::Weight& weight) {
  const std::uint64_t inputs = weight.shape(weight.shape_size() - 1);
  if (form == v1::INPUT_FORM_F32) return {};
  if (form != v1::INPUT_FORM_A8_32) {
    return Invalid("input_form ", static_cast<int>(form), " does not exist");
  }
  const kernels::EncodingInfo& info = *FindEncoding(weight.encoding());
  if (!info.takes_a8) return Invalid("weights in ", info.name, " take no A8_32 input");
  if (inputs % 32 == 0) return {};
  return Invalid(inputs, " inputs are not a multiple of 32, as A8_32 needs");
}

// That the inputs of weights [.., outputs, inputs] are cut where they may be.
template <typename Ends>
Status Segments(const char* what, const Ends& ends, const v1::Weight& weight) {
  const std::uint64_t inputs = weight.shape(weight.shape_size() - 1);
  const std::uint64_t block = FindEncoding(weight.encoding())->block_values;
  if (ends.empty() || ends.size() > kMaxSegments) {
    return Invalid("has ", ends.size(), " ", what, ", must have 1 to ", kMaxSegments);
  }
  std::uint64_t begin = 0;
  for (int i = 0; i < ends.size(); ++i) {
    const std::uint64_t end = ends.Get(i);
    if (end <= begin) return Invalid(what, " do not rise at ", end);
    if (i + 1 < ends.size() && (end % block != 0 || end % 32 != 0)) {
      return Invalid("segment end ", end, " is not a multiple of 32 and of the block of ", block);
    }
    begin = end;
  }
  if (begin != inputs) return Invalid(what, " end at ", begin, ", inputs at ", inputs);
  return {};
}

}  // namespace bramble::program
