#include "model/files/hf_folder.h"

#include <filesystem>
#include <system_error>
#include <utility>

#include "model/files/json.h"
#include "model/files/quote.h"
#include "model/files/shards.h"

namespace bramble::model::files {
namespace {

constexpr std::size_t kMostConfigBytes = 4u << 20;
constexpr std::size_t kMostConfigValues = 1u << 16;
constexpr char kConfigName[] = "config.json";
// Where the weights may be, the best first; transformers looks in the same order.
struct Place {
  const char* name;
  Status (*add)(const std::string& path, ReadFileFn read, ModelFiles* files);
  ReadFileFn read;
  const char* container;
};
constexpr Place kPlaces[] = {
    {"model.safetensors", AddFile, ReadSafetensorsFile, "safetensors"},
    {"model.safetensors.index.json", AddShards, ReadSafetensorsFile, "safetensors"},
    {"pytorch_model.bin", AddFile, ReadPytorchFile, "PyTorch"},
    {"pytorch_model.bin.index.json", AddShards, ReadPytorchFile, "PyTorch"},
};

bool Exists(const std::string& path) {
  std::error_code error;
  return std::filesystem::exists(path, error);
}

// What AutoGPTQ wrote before config.json had a place for it.
constexpr char kQuantizeName[] = "quantize_config.json";
constexpr char kQuantizePrefix[] = "quantization_config.";

Status AddQuantizeConfig(const std::string& folder, Metadata* metadata) {
  const std::string path = folder + "/" + kQuantizeName;
  const std::string method = std::string(kQuantizePrefix) + "quant_method";
  if (FindValue(*metadata, method) != nullptr || !Exists(path)) return {};
  ASSIGN_OR_RETURN(const std::string text, ReadText(path, kMostConfigBytes));
  auto config = ReadJson(text, kMostConfigValues);
  if (!config.ok()) return config.status().WithContext(QuotePath(path));
  for (auto& [key, value] : *config) metadata->emplace(kQuantizePrefix + key, std::move(value));
  metadata->emplace(method, MetaValue{std::string("gptq")});
  return {};
}

std::string FolderOf(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

Result<ModelFiles> ReadConfig(const std::string& folder) {
  ModelFiles files;
  files.dialect = Dialect::kHuggingFace;
  files.path = folder;
  const std::string path = folder + "/" + kConfigName;
  ASSIGN_OR_RETURN(const std::string text, ReadText(path, kMostConfigBytes));
  auto config = ReadJson(text, kMostConfigValues);
  if (!config.ok()) return config.status().WithContext(QuotePath(path));
  files.metadata = *std::move(config);
  RETURN_IF_ERROR(AddQuantizeConfig(folder, &files.metadata));
  return files;
}

Result<ModelFiles> Finish(ModelFiles files, const char* container) {
  RETURN_IF_ERROR(files.tensors.Seal().WithContext(QuotePath(files.path)));
  files.container = container;
  if (files.maps.size() > 1) files.container += ", " + std::to_string(files.maps.size()) + " files";
  return files;
}

}  // namespace

Result<ModelFiles> OpenHfFolder(const std::string& folder) {
  ASSIGN_OR_RETURN(ModelFiles files, ReadConfig(folder));
  std::string known;
  for (const Place& place : kPlaces) {
    known += (known.empty() ? "" : ", ") + std::string(place.name);
    const std::string path = folder + "/" + place.name;
    if (!Exists(path)) continue;
    RETURN_IF_ERROR(place.add(path, place.read, &files));
    return Finish(std::move(files), place.container);
  }
  return NotFound(QuotePath(folder), ": there is none of ", known);
}

Result<ModelFiles> OpenHfFile(const std::string& path) {
  ASSIGN_OR_RETURN(ModelFiles files, ReadConfig(FolderOf(path)));
  RETURN_IF_ERROR(AddFile(path, ReadSafetensorsFile, &files));
  return Finish(std::move(files), "safetensors");
}

// nanoGPT's checkpoints say themselves what they are.
void DescribeNanoGpt(Metadata* metadata) {
  constexpr std::string_view kArguments = "model_args.";
  Metadata config;
  for (const auto& [key, value] : *metadata) {
    if (!std::string_view(key).starts_with(kArguments)) continue;
    config.emplace(key.substr(kArguments.size()), value);
  }
  config.emplace("model_type", MetaValue{std::string("nanogpt")});
  *metadata = std::move(config);
}

Result<ModelFiles> OpenPytorchFile(const std::string& path) {
  const std::string folder = FolderOf(path);
  ModelFiles files;
  if (Exists(folder + "/" + kConfigName)) {
    ASSIGN_OR_RETURN(files, ReadConfig(folder));
  }
  files.dialect = Dialect::kHuggingFace;
  files.path = folder;
  const bool described = !files.metadata.empty();
  RETURN_IF_ERROR(AddFile(path, ReadPytorchFile, &files));
  if (!described && FindValue(files.metadata, "model_args.n_layer") != nullptr) {
    DescribeNanoGpt(&files.metadata);
  } else if (!described) {
    return Invalid(QuotePath(path), ": the file holds weights and does not say of what; write a ",
                   kConfigName, " beside it, with 'model_type' and the sizes (for minGPT: ",
                   R"({"model_type": "mingpt", "n_layer": 12, "n_head": 12, "n_embd": 768, )",
                   R"("block_size": 1024}))");
  }
  return Finish(std::move(files), "PyTorch");
}

}  // namespace bramble::model::files
