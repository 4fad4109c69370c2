#pragma once

#include <string>

#include "common/status.h"
#include "model/files/model_files.h"

namespace bramble::model::files {

// Opens what `save_pretrained` writes: config.json, and model.safetensors, or
// model.safetensors.index.json with its shards, or the same of PyTorch (pytorch_model.bin).
// ModelFiles.path is the folder.
Result<ModelFiles> OpenHfFolder(const std::string& folder);

// The same with the tensors of one safetensors file; config.json lies beside it.
Result<ModelFiles> OpenHfFile(const std::string& path);
// The same of one PyTorch file, which needs no config.json if it is a checkpoint of nanoGPT.
Result<ModelFiles> OpenPytorchFile(const std::string& path);

}  // namespace bramble::model::files
