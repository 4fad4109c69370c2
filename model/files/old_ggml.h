#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "common/status.h"
#include "model/files/model_files.h"

// The files of llama.cpp from before GGUF (March to August 2023): "ggml", "ggmf" version 1 and
// "ggjt" versions 1 to 3, of LLaMA models.
namespace bramble::model::files {

bool IsOldGgml(std::span<const std::byte> head);

// Reads a file's bytes, which must outlive the result. Tensors and description get GGUF's names.
// Blocks that GGUF has no more are laid out anew without changing a value: Q4_0 and Q8_0 with f32
// scales as INT4 and INT8; where no encoding holds them (Q4_1 with f32 scales, Q4_2, Q4_3) as F32,
// and a note says so.
Result<ModelFiles> ReadOldGgml(std::span<const std::byte> bytes);

// The same of a file.
Result<ModelFiles> OpenOldGgml(const std::string& path);

}  // namespace bramble::model::files
