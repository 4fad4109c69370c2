#include "model/files/shards.h"

#include <map>
#include <string_view>
#include <utility>

#include "model/files/json.h"
#include "model/files/pytorch.h"
#include "model/files/quote.h"
#include "model/files/safetensors.h"

namespace bramble::model::files {
namespace {

constexpr std::size_t kMostIndexBytes = 32u << 20;
constexpr std::string_view kMapPrefix = "weight_map.";

// Tensor name to shard name.
using WeightMap = std::map<std::string_view, std::string_view>;

Result<WeightMap> ReadWeightMap(const Metadata& index) {
  WeightMap map;
  for (const auto& [key, value] : index) {
    if (!std::string_view(key).starts_with(kMapPrefix)) continue;
    const std::string_view tensor = std::string_view(key).substr(kMapPrefix.size());
    const auto shard = value.Text();
    if (!shard) return Invalid("the shard of tensor ", Quote(tensor), " is ", value.ToText());
    RETURN_IF_ERROR(CheckShardName(*shard));
    map.emplace(tensor, *shard);
  }
  if (map.empty()) return Invalid("it has no 'weight_map', or an empty one");
  return map;
}

}  // namespace

Status CheckShardName(std::string_view name) {
  if (name.empty() || name == "." || name == ".." || name.find('/') != std::string_view::npos ||
      name.find('\0') != std::string_view::npos) {
    return Invalid("it names the shard ", Quote(name),
                   ", and a shard must be a file beside the index");
  }
  return {};
}

Result<std::vector<Tensor>> ReadSafetensorsFile(const std::string& path, ModelFiles* files) {
  ASSIGN_OR_RETURN(auto map, MappedFile::Open(path));
  auto tensors = ReadSafetensors(map->bytes());
  if (!tensors.ok()) return tensors.status().WithContext(QuotePath(path));
  files->maps.push_back(std::move(map));
  return tensors;
}

Result<std::vector<Tensor>> ReadPytorchFile(const std::string& path, ModelFiles* files) {
  ASSIGN_OR_RETURN(auto map, MappedFile::Open(path));
  auto file = ReadPytorch(map->bytes());
  if (!file.ok()) return file.status().WithContext(QuotePath(path));
  files->maps.push_back(std::move(map));
  files->owned.insert(files->owned.end(), file->owned.begin(), file->owned.end());
  for (auto& [key, value] : file->metadata) files->metadata.emplace(key, std::move(value));
  return std::move(file->tensors);
}

Status AddFile(const std::string& path, ReadFileFn read, ModelFiles* files) {
  ASSIGN_OR_RETURN(auto tensors, read(path, files));
  for (Tensor& tensor : tensors) RETURN_IF_ERROR(files->tensors.Add(std::move(tensor)));
  return {};
}

Status AddShards(const std::string& index_path, ReadFileFn read, ModelFiles* files) {
  ASSIGN_OR_RETURN(const std::string text, ReadText(index_path, kMostIndexBytes));
  Metadata index;
  WeightMap map;
  const auto read_index = [&]() -> Status {
    ASSIGN_OR_RETURN(index, ReadJson(text, 2 * kMostTensors));
    ASSIGN_OR_RETURN(map, ReadWeightMap(index));
    return {};
  };
  RETURN_IF_ERROR(read_index().WithContext(QuotePath(index_path)));

  std::map<std::string_view, std::size_t> shards;  // and how many tensors the index expects of each
  for (const auto& [tensor, shard] : map) ++shards[shard];
  const std::string folder = index_path.substr(0, index_path.rfind('/') + 1);
  for (const auto& [shard, expected] : shards) {
    ASSIGN_OR_RETURN(auto tensors, read(folder + std::string(shard), files));
    std::size_t found = 0;
    for (Tensor& tensor : tensors) {
      const auto entry = map.find(tensor.name);
      if (entry == map.end() || entry->second != shard) continue;  // only what the index says
      ++found;
      RETURN_IF_ERROR(files->tensors.Add(std::move(tensor)));
    }
    if (found != expected) {
      return Invalid(QuotePath(index_path), ": it says that ", Quote(shard), " has ", expected,
                     " tensors, and the file has ", found, " of them");
    }
  }
  return {};
}

}  // namespace bramble::model::files
