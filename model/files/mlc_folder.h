#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"
#include "model/files/model_files.h"

namespace bramble::model::files {

// Where a tensor lies, as tensor-cache.json says it; nothing of it is checked yet.
struct MlcRecord {
  std::string name;
  std::string dtype;
  std::string format;
  std::vector<std::uint64_t> shape;
  std::uint64_t bytes = 0;
  std::uint64_t offset = 0;
};
struct MlcShard {
  std::string path;
  std::vector<MlcRecord> records;
};
Result<std::vector<MlcShard>> ReadMlcCache(std::string_view text);

// Whether a folder holds a model as MLC LLM keeps it: mlc-chat-config.json.
bool IsMlcFolder(const std::string& folder);

// Opens one (https://llm.mlc.ai/docs/compilation/convert_weights.html): mlc-chat-config.json, and
// tensor-cache.json (ndarray-cache.json before September 2025) that says which tensor lies where in
// params_shard_*.bin. The description gets config.json's keys, fused matrices the names of their
// parts; quantized ones (q4f16_1, q4f32_1, ..._2) are model/quantized/'s to read. ModelFiles.path
// is the folder.
Result<ModelFiles> OpenMlcFolder(const std::string& folder);

}  // namespace bramble::model::files
