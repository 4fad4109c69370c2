#include "model/files/table.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "model/files/gguf.h"
#include "model/files/hf_folder.h"
#include "model/files/litgpt_folder.h"
#include "model/files/meta_folder.h"
#include "model/files/mlc_folder.h"
#include "model/files/old_ggml.h"
#include "model/files/pytorch.h"
#include "model/files/quote.h"
#include "model/files/safetensors.h"

namespace bramble::model::files {
namespace {

constexpr std::size_t kHeadBytes = 16;

constexpr Container kContainers[] = {
    {"GGUF", [](std::span<const std::byte> head, std::uint64_t) { return IsGguf(head); }, OpenGguf},
    {"safetensors", IsSafetensors, OpenHfFile},
    {"ggml before GGUF",
     [](std::span<const std::byte> head, std::uint64_t) { return IsOldGgml(head); }, OpenOldGgml},
    {"PyTorch", [](std::span<const std::byte> head, std::uint64_t) { return IsPytorch(head); },
     OpenPytorchFile},
};

Result<ModelFiles> OpenFile(const std::string& path) {
  ASSIGN_OR_RETURN(const auto file, MappedFile::Open(path));
  const std::span<const std::byte> bytes = file->bytes();
  const auto head = bytes.first(std::min(bytes.size(), kHeadBytes));
  for (const Container& container : kContainers) {
    if (container.recognizes(head, bytes.size())) return container.open(path);
  }
  std::string known;
  for (const Container& container : kContainers)
    known += (known.empty() ? "" : ", ") + std::string(container.name);
  return Invalid(QuotePath(path), ": not a model file: its ", bytes.size(),
                 " bytes begin like none of ", known);
}

// The GGUF files of a folder; of a split model only the first.
Result<std::vector<std::string>> FindGguf(const std::string& folder) {
  std::vector<std::string> found;
  std::error_code error;
  auto entry = std::filesystem::directory_iterator(folder, error);
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    const std::string path = entry->path().string();
    const bool later_part =
        path.find("-of-") != std::string::npos && path.find("-00001-of-") == std::string::npos;
    if (path.ends_with(".gguf") && !later_part) found.push_back(path);
  }
  if (error) return Failed(QuotePath(folder), ": ", error.message());
  std::sort(found.begin(), found.end());
  return found;
}

Result<ModelFiles> OpenFolder(const std::string& folder) {
  std::error_code error;
  if (std::filesystem::exists(folder + "/config.json", error)) return OpenHfFolder(folder);
  if (IsMetaFolder(folder)) return OpenMetaFolder(folder);
  if (IsLitGptFolder(folder)) return OpenLitGptFolder(folder);
  if (IsMlcFolder(folder)) return OpenMlcFolder(folder);
  ASSIGN_OR_RETURN(const auto found, FindGguf(folder));
  if (found.size() == 1) return OpenFile(found.front());
  if (found.empty()) {
    return NotFound(QuotePath(folder),
                    ": there is neither a config.json, a params.json, a lit_model.pth, an "
                    "mlc-chat-config.json nor a .gguf file");
  }
  return Invalid(QuotePath(folder), ": there are ", found.size(),
                 " .gguf files; name one of them, as ", QuotePath(found.front()));
}

}  // namespace

std::span<const Container> Containers() { return kContainers; }

Result<ModelFiles> OpenModelFiles(const std::string& path) {
  std::string trimmed = path;
  while (trimmed.size() > 1 && trimmed.back() == '/') trimmed.pop_back();
  std::error_code error;
  if (std::filesystem::is_directory(trimmed, error)) return OpenFolder(trimmed);
  return OpenFile(trimmed);
}

}  // namespace bramble::model::files
