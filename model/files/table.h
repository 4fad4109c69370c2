#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "common/status.h"
#include "model/files/model_files.h"

namespace bramble::model::files {

// A kind of model file. A new one is a row in table.cc.
struct Container {
  const char* name;
  // By the first 16 bytes (fewer, if the file has fewer) and its size: never by its name.
  bool (*recognizes)(std::span<const std::byte> head, std::uint64_t file_bytes);
  Result<ModelFiles> (*open)(const std::string& path);
};

std::span<const Container> Containers();

// Opens a model file, or a folder with one: a Hugging Face folder, or one with a single GGUF model
// in it.
Result<ModelFiles> OpenModelFiles(const std::string& path);

}  // namespace bramble::model::files
