// Models in several GGUF files, as llama.cpp's splitter writes them: NAME-00001-of-00003.gguf, each
// with the keys split.no (from 0), split.count and split.tensors.count (of all parts together). The
// first has the metadata.
#include <array>
#include <cinttypes>
#include <cstdio>
#include <utility>

#include "model/files/gguf.h"
#include "model/files/quote.h"

namespace bramble::model::files {
namespace {

constexpr std::int64_t kMostParts = 99999;  // five digits
constexpr std::size_t kSuffixBytes = sizeof("-00001-of-00003.gguf") - 1;

struct Split {
  std::int64_t number = 0;
  std::int64_t count = 1;
  std::int64_t tensors = -1;  // of all parts; -1: not said
};

Status ReadKey(const Metadata& metadata, const char* key, std::int64_t least, std::int64_t most,
               std::int64_t* number) {
  const MetaValue* value = FindValue(metadata, key);
  if (value == nullptr) return {};
  *number = value->Whole().value_or(least - 1);
  if (*number < least || *number > most) {
    return Invalid("metadata key '", key, "' is ", value->ToText(), ", and must be ", least, " to ",
                   most);
  }
  return {};
}

Result<Split> ReadSplit(const Metadata& metadata) {
  Split split;
  RETURN_IF_ERROR(ReadKey(metadata, "split.count", 0, kMostParts, &split.count));
  RETURN_IF_ERROR(ReadKey(metadata, "split.no", 0, kMostParts, &split.number));
  RETURN_IF_ERROR(ReadKey(metadata, "split.tensors.count", 0,
                          static_cast<std::int64_t>(kMostTensors), &split.tensors));
  if (split.count == 0) split.count = 1;
  if (split.number >= split.count) {
    return Invalid("metadata key 'split.no' is ", split.number, " (from 0) of ", split.count,
                   " parts");
  }
  return split;
}

std::string Suffix(std::int64_t number, std::int64_t count) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "-%05" PRId64 "-of-%05" PRId64 ".gguf", number + 1,
                count);
  return text.data();
}

struct OpenPart {
  std::shared_ptr<const MappedFile> map;
  GgufPart part;
  Split split;
};

Result<OpenPart> Open(const std::string& path) {
  OpenPart open;
  ASSIGN_OR_RETURN(open.map, MappedFile::Open(path));
  const auto read = [&open]() -> Status {
    ASSIGN_OR_RETURN(open.part, ReadGguf(open.map->bytes()));
    ASSIGN_OR_RETURN(open.split, ReadSplit(open.part.metadata));
    return {};
  };
  RETURN_IF_ERROR(read().WithContext(QuotePath(path)));
  return open;
}

Status Take(OpenPart open, ModelFiles* files) {
  for (Tensor& tensor : open.part.tensors) RETURN_IF_ERROR(files->tensors.Add(std::move(tensor)));
  files->maps.push_back(std::move(open.map));
  // The first part describes the model; the others repeat some of it.
  if (open.split.number == 0) files->metadata = std::move(open.part.metadata);
  return {};
}

}  // namespace

Result<ModelFiles> OpenGguf(const std::string& path) {
  ASSIGN_OR_RETURN(OpenPart first, Open(path));
  const Split split = first.split;
  const std::string suffix = Suffix(split.number, split.count);
  if (split.count > 1 && !path.ends_with(suffix)) {
    return Invalid(QuotePath(path), ": it says that it is part ", split.number + 1, " of ",
                   split.count, ", so its name should end in '", suffix, "'");
  }
  ModelFiles files;
  files.dialect = Dialect::kGguf;
  files.path = path;
  files.container = "GGUF version " + std::to_string(first.part.version);
  if (split.count > 1) files.container += ", " + std::to_string(split.count) + " files";
  const std::string stem = split.count > 1 ? path.substr(0, path.size() - kSuffixBytes) : path;
  RETURN_IF_ERROR(Take(std::move(first), &files).WithContext(QuotePath(path)));
  for (std::int64_t i = 0; i < split.count; ++i) {
    if (i == split.number) continue;
    const std::string part_path = stem + Suffix(i, split.count);
    ASSIGN_OR_RETURN(OpenPart part, Open(part_path));
    if (part.split.number != i || part.split.count != split.count) {
      return Invalid(QuotePath(part_path), ": it says that it is part ", part.split.number + 1,
                     " of ", part.split.count, ", and its name says something else");
    }
    RETURN_IF_ERROR(Take(std::move(part), &files).WithContext(QuotePath(part_path)));
  }
  RETURN_IF_ERROR(files.tensors.Seal().WithContext(QuotePath(path)));
  const auto count = static_cast<std::int64_t>(files.tensors.all().size());
  if (split.count > 1 && split.tensors >= 0 && split.tensors != count) {
    return Invalid(QuotePath(path), ": the parts have ", count,
                   " tensors together, and 'split.tensors.count' says ", split.tensors);
  }
  return files;
}

}  // namespace bramble::model::files
