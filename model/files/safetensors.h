#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "common/status.h"
#include "model/files/tensor_index.h"

// safetensors, Hugging Face's container: https://github.com/huggingface/safetensors#format.
namespace bramble::model::files {

// Whether a file with this beginning (9 bytes are enough) can be safetensors: a header length, then
// '{'.
bool IsSafetensors(std::span<const std::byte> head, std::uint64_t file_bytes);

// The tensors of one file, in the header's order; they point into `bytes`, which must outlive them.
// InvalidArgument names what is wrong.
Result<std::vector<Tensor>> ReadSafetensors(std::span<const std::byte> bytes);

}  // namespace bramble::model::files
