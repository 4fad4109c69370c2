#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"
#include "model/files/model_files.h"

// Models in one file, or in several that an index names.
namespace bramble::model::files {

// The tensors of one file; what they point into, and what the file says beside them, goes to
// `files`.
using ReadFileFn = Result<std::vector<Tensor>> (*)(const std::string& path, ModelFiles* files);

Result<std::vector<Tensor>> ReadSafetensorsFile(const std::string& path, ModelFiles* files);
Result<std::vector<Tensor>> ReadPytorchFile(const std::string& path, ModelFiles* files);

// A shard lies beside its index: a name with a folder in it could name any file of the machine.
Status CheckShardName(std::string_view name);

// Adds the tensors to `files`: of one file; or of an index (model.safetensors.index.json) every
// shard that it names, which lie beside it. The index of tensors stays unsealed.
Status AddFile(const std::string& path, ReadFileFn read, ModelFiles* files);
Status AddShards(const std::string& index_path, ReadFileFn read, ModelFiles* files);

}  // namespace bramble::model::files
