#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/status.h"
#include "model/files/mapped_file.h"
#include "model/files/metadata.h"
#include "model/files/tensor_index.h"

namespace bramble::model::files {

// Whose names the metadata keys and the tensors go by.
enum class Dialect : std::uint8_t { kGguf, kHuggingFace };

// A model's files, opened and checked: what every container comes to. Immutable after opening: any
// thread.
struct ModelFiles {
  Dialect dialect = Dialect::kGguf;
  std::string container;  // "GGUF version 3, 2 files"
  std::string path;       // what was opened: a file, or the folder of config.json
  Metadata metadata;      // GGUF's keys; or config.json, flattened
  TensorIndex tensors;    // sealed; the bytes lie in `maps`, or `owned`
  std::vector<std::shared_ptr<const MappedFile>> maps;
  std::vector<std::shared_ptr<const std::vector<std::byte>>> owned;  // bytes that no file has so
  // Tensors whose type nobody can use are listed in the index; this says so, one line each, with
  // anything else that was passed over.
  std::vector<std::string> notes;
};

}  // namespace bramble::model::files
