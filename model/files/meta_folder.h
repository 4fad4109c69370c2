#pragma once

#include <string>

#include "common/status.h"
#include "model/files/model_files.h"

namespace bramble::model::files {

// Whether a folder holds a model as Meta and Mistral give them away: params.json.
bool IsMetaFolder(const std::string& folder);

// Opens one: params.json beside consolidated.00.pth, consolidated.safetensors or the like, in a
// single file. The tensors get their Hugging Face names, and the description what a config.json
// would say. ModelFiles.path is the folder.
Result<ModelFiles> OpenMetaFolder(const std::string& folder);

// Meta's name of a tensor ("layers.3.attention.wq.weight") as Hugging Face spells it; one of
// another kind stays as it is.
std::string HfNameOfMeta(const std::string& name);

}  // namespace bramble::model::files
