#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "common/status.h"
#include "model/files/model_files.h"

// GGUF, ggml's container: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.
namespace bramble::model::files {

// Whether a file with this beginning (8 bytes are enough) is GGUF, of whatever version and byte
// order.
bool IsGguf(std::span<const std::byte> head);

// One part of a model, or all of it.
struct GgufPart {
  std::uint32_t version = 0;
  Metadata metadata;
  std::vector<Tensor> tensors;  // in the file's order; they point into the bytes given
};

// Reads versions 2 and 3. InvalidArgument names what is wrong; nothing is allocated before the file
// is known to hold it. `bytes` must outlive the result.
Result<GgufPart> ReadGguf(std::span<const std::byte> bytes);

// Opens a GGUF file and, if it is one part of a split model ("NAME-00001-of-00003.gguf"), all the
// others.
Result<ModelFiles> OpenGguf(const std::string& path);

}  // namespace bramble::model::files
