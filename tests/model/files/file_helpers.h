#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/files/model_files.h"

namespace bramble::model::files {

// A folder of its own that is removed in the end.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  std::string Path(std::string_view name) const { return path_ + "/" + std::string(name); }
  const std::string& path() const { return path_; }
  // Writes a file and gives its path.
  std::string Write(std::string_view name, std::string_view bytes) const;
  std::string Pipe(std::string_view name) const;

 private:
  std::string path_;
};

inline std::span<const std::byte> AsBytes(std::string_view text) {
  return std::as_bytes(std::span(text));
}

// The bytes of a number, little-endian.
template <typename T>
std::string Raw(T number) {
  return {reinterpret_cast<const char*>(&number), sizeof(number)};
}

// Writes GGUF files, also wrong ones.
class GgufWriter {
 public:
  std::uint32_t version = 3;
  std::uint64_t alignment = 32;  // of the data; the key is the caller's

  // A text with its length in front.
  static std::string Text(std::string_view text) {
    return Raw<std::uint64_t>(text.size()) + std::string(text);
  }

  GgufWriter& Key(std::string_view key, MetaType type, std::string_view value);
  GgufWriter& U32(std::string_view key, std::uint32_t value) {
    return Key(key, MetaType::kUint32, Raw(value));
  }
  GgufWriter& F32(std::string_view key, float value) {
    return Key(key, MetaType::kFloat32, Raw(value));
  }
  GgufWriter& String(std::string_view key, std::string_view value) {
    return Key(key, MetaType::kText, Text(value));
  }
  // Replaces the value of a key that is there.
  GgufWriter& Replace(std::string_view key, MetaType type, std::string_view value);
  GgufWriter& Remove(std::string_view key);

  // `shape`: outermost dimension first. `type`: ggml's number.
  GgufWriter& Tensor(std::string_view name, std::uint32_t type, std::vector<std::uint64_t> shape,
                     std::string bytes);
  // An F32 tensor of zeros.
  GgufWriter& Zeros(std::string_view name, std::vector<std::uint64_t> shape);
  GgufWriter& RemoveTensor(std::string_view name);

  std::string Finish() const;

 private:
  struct Entry {
    std::string name;
    std::uint32_t type;
    std::vector<std::uint64_t> shape;
    std::string bytes;
  };
  std::vector<std::pair<std::string, std::string>> keys_;  // name, and type with value
  std::vector<Entry> tensors_;
};

// The files of a GGUF model in memory, which must outlive them. The bytes must be right.
ModelFiles FilesOfGguf(const std::string& bytes);

// The files of a Hugging Face folder: config.json, and F32 tensors of zeros by name and shape.
struct ZeroTensor {
  std::string name;
  std::vector<std::uint64_t> shape;
};
ModelFiles FilesOfHf(std::string_view config, const std::vector<ZeroTensor>& tensors);

// A safetensors file of a header and data.
std::string Safetensors(std::string_view header, std::string_view data);

}  // namespace bramble::model::files
