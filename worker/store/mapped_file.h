#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "common/files.h"
#include "common/status.h"

namespace bramble::worker {

// A file's bytes, mapped read-only; unmapped with the object. Reading is thread-safe.
class MappedFile {
 public:
  MappedFile() = default;
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  // The first `size` bytes of the file, which has at least so many. `path` is for messages.
  static Result<MappedFile> Map(const File& file, std::uint64_t size, const std::string& path);

  std::span<const std::byte> bytes() const { return {data_, size_}; }

 private:
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

// "PATH: ACTION: the system's reason", with the code that fits `error_number` (an errno).
Status SystemError(int error_number, const std::string& path, const char* action);

}  // namespace bramble::worker
