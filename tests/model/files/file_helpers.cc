#include "tests/model/files/file_helpers.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "common/check.h"
#include "model/files/gguf.h"
#include "model/files/json.h"

namespace bramble::model::files {

TemporaryFolder::TemporaryFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "bramble-test-XXXXXX").string();
  CHECK(::mkdtemp(name.data()) != nullptr);
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code error;
  std::filesystem::remove_all(path_, error);
}

std::string TemporaryFolder::Write(std::string_view name, std::string_view bytes) const {
  std::ofstream file(Path(name), std::ios::binary);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  CHECK(file.good());
  return Path(name);
}

std::string TemporaryFolder::Pipe(std::string_view name) const {
  CHECK(::mkfifo(Path(name).c_str(), 0600) == 0);
  return Path(name);
}

GgufWriter& GgufWriter::Key(std::string_view key, MetaType type, std::string_view value) {
  keys_.emplace_back(key, Raw(static_cast<std::uint32_t>(type)) + std::string(value));
  return *this;
}

GgufWriter& GgufWriter::Replace(std::string_view key, MetaType type, std::string_view value) {
  return Remove(key).Key(key, type, value);
}

GgufWriter& GgufWriter::Remove(std::string_view key) {
  std::erase_if(keys_, [&](const auto& entry) { return entry.first == key; });
  return *this;
}

GgufWriter& GgufWriter::Tensor(std::string_view name, std::uint32_t type,
                               std::vector<std::uint64_t> shape, std::string bytes) {
  tensors_.push_back({std::string(name), type, std::move(shape), std::move(bytes)});
  return *this;
}

GgufWriter& GgufWriter::Zeros(std::string_view name, std::vector<std::uint64_t> shape) {
  std::size_t values = 1;
  for (const std::uint64_t size : shape) values *= size;
  return Tensor(name, 0, std::move(shape), std::string(values * sizeof(float), '\0'));
}

GgufWriter& GgufWriter::RemoveTensor(std::string_view name) {
  std::erase_if(tensors_, [&](const Entry& entry) { return entry.name == name; });
  return *this;
}

std::string GgufWriter::Finish() const {
  std::string file = "GGUF" + Raw(version) + Raw<std::uint64_t>(tensors_.size()) +
                     Raw<std::uint64_t>(keys_.size());
  for (const auto& [key, value] : keys_) file += Text(key) + value;
  std::string data;
  for (const Entry& tensor : tensors_) {
    data.resize((data.size() + alignment - 1) / alignment * alignment);
    file += Text(tensor.name) + Raw(static_cast<std::uint32_t>(tensor.shape.size()));
    for (auto size = tensor.shape.rbegin(); size != tensor.shape.rend(); ++size) file += Raw(*size);
    file += Raw(tensor.type) + Raw<std::uint64_t>(data.size());
    data += tensor.bytes;
  }
  file.resize((file.size() + alignment - 1) / alignment * alignment);
  return file + data;
}

ModelFiles FilesOfGguf(const std::string& bytes) {
  auto part = ReadGguf(AsBytes(bytes));
  CHECK(part.ok());
  ModelFiles files;
  files.path = "model.gguf";
  files.container = "GGUF version 3";
  files.metadata = std::move(part->metadata);
  for (Tensor& tensor : part->tensors) CHECK(files.tensors.Add(std::move(tensor)).ok());
  CHECK(files.tensors.Seal().ok());
  return files;
}

ModelFiles FilesOfHf(std::string_view config, const std::vector<ZeroTensor>& tensors) {
  static const std::string zeros(std::size_t{1} << 20, '\0');
  ModelFiles files;
  files.dialect = Dialect::kHuggingFace;
  files.path = "model";
  auto metadata = ReadJson(config, 1000);
  CHECK(metadata.ok());
  files.metadata = *std::move(metadata);
  for (const ZeroTensor& zero : tensors) {
    std::uint64_t values = 0;
    CHECK(CountValues(zero.shape, &values) && values * sizeof(float) <= zeros.size());
    CHECK(files.tensors
              .Add({zero.name, v1::ENCODING_F32, "F32", zero.shape,
                    AsBytes(zeros).first(values * sizeof(float))})
              .ok());
  }
  CHECK(files.tensors.Seal().ok());
  return files;
}

std::string Safetensors(std::string_view header, std::string_view data) {
  return Raw<std::uint64_t>(header.size()) + std::string(header) + std::string(data);
}

}  // namespace bramble::model::files
