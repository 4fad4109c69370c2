#pragma once

#include <memory>

#include "common/status.h"
#include "model/quantized/matrix.h"
#include "model/quantized/module.h"

// The layouts, one file each. Has...: whether the module's tensors are of this kind, by their names
// and types; Open...: the matrix, everything about it checked but its codes.
namespace bramble::model::quantized {

// GPTQ and AWQ.
bool HasGptq(const Module& module);
Result<std::unique_ptr<Matrix>> OpenGptq(const Module& module);

// EXL2.
bool HasExl2(const Module& module);
Result<std::unique_ptr<Matrix>> OpenExl2(const Module& module);

// MLC.
bool HasMlc(const Module& module);
Result<std::unique_ptr<Matrix>> OpenMlc(const Module& module);

// compressed-tensors' packed integers.
bool HasPacked(const Module& module);
Result<std::unique_ptr<Matrix>> OpenPacked(const Module& module);

// bitsandbytes: NF4 and FP4.
bool HasFourBit(const Module& module);
Result<std::unique_ptr<Matrix>> OpenFourBit(const Module& module);

// Bytes with a scale: LLM.int8, compressed-tensors' int8, and E4M3 by channel, tensor or block.
bool HasBytes(const Module& module);
Result<std::unique_ptr<Matrix>> OpenBytes(const Module& module);

}  // namespace bramble::model::quantized
