#include "model/files/hf_folder.h"

#include <filesystem>
#include <system_error>
#include <utility>

#include "model/files/json.h"
#include "model/files/quote.h"
#include "model/files/safetensors.h"

namespace bramble::model::files {
namespace {

constexpr std::size_t kMostConfigBytes = 4u << 20;
constexpr std::size_t kMostConfigValues = 1u << 16;
constexpr char kSingleName[] = "model.safetensors";
constexpr char kIndexName[] = "model.safetensors.index.json";

bool Exists(const std::string& path) {
  std::error_code error;
  return std::filesystem::exists(path, error);
}

Result<ModelFiles> ReadConfig(const std::string& folder) {
  ModelFiles files;
  files.dialect = Dialect::kHuggingFace;
  files.path = folder;
  const std::string path = folder + "/config.json";
  ASSIGN_OR_RETURN(const std::string text, ReadText(path, kMostConfigBytes));
  auto config = ReadJson(text, kMostConfigValues);
  if (!config.ok()) return config.status().WithContext(QuotePath(path));
  files.metadata = *std::move(config);
  return files;
}

Result<ModelFiles> Finish(ModelFiles files) {
  RETURN_IF_ERROR(files.tensors.Seal().WithContext(QuotePath(files.path)));
  files.container = "safetensors";
  if (files.maps.size() > 1) files.container += ", " + std::to_string(files.maps.size()) + " files";
  return files;
}

}  // namespace

Result<ModelFiles> OpenHfFolder(const std::string& folder) {
  ASSIGN_OR_RETURN(ModelFiles files, ReadConfig(folder));
  // A single file wins over an index, as it does for transformers.
  if (Exists(folder + "/" + kSingleName)) {
    RETURN_IF_ERROR(AddSafetensors(folder + "/" + kSingleName, &files));
  } else if (Exists(folder + "/" + kIndexName)) {
    RETURN_IF_ERROR(AddShards(folder + "/" + kIndexName, &files));
  } else {
    return NotFound(
        QuotePath(folder), ": there is neither ", kSingleName, " nor ", kIndexName,
        Exists(folder + "/pytorch_model.bin") || Exists(folder + "/pytorch_model.bin.index.json")
            ? "; pytorch_model.bin cannot be read yet: convert it to safetensors"
            : "");
  }
  return Finish(std::move(files));
}

Result<ModelFiles> OpenHfFile(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  ASSIGN_OR_RETURN(ModelFiles files,
                   ReadConfig(slash == std::string::npos ? "." : path.substr(0, slash)));
  RETURN_IF_ERROR(AddSafetensors(path, &files));
  return Finish(std::move(files));
}

}  // namespace bramble::model::files
