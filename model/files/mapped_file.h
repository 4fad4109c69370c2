#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "common/status.h"

namespace bramble::model::files {

// A regular file, mapped into memory for reading. The file must not shrink while this lives:
// reading past its new end would end the process. Immutable: any thread.
class MappedFile {
 public:
  // Refuses whatever is not a regular file, without waiting for it: opening a named pipe for
  // reading would hang until somebody writes.
  static Result<std::shared_ptr<const MappedFile>> Open(const std::string& path);

  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const std::string& path() const { return path_; }
  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  MappedFile(std::string path, std::span<const std::byte> bytes)
      : path_(std::move(path)), bytes_(bytes) {}

  std::string path_;
  std::span<const std::byte> bytes_;
};

// The whole of a small text file, under the same rules. Refuses one of more than `limit` bytes.
Result<std::string> ReadText(const std::string& path, std::size_t limit);

}  // namespace bramble::model::files
