#include "worker/store/mapped_file.h"

#include <sys/mman.h>

#include <cerrno>
#include <system_error>
#include <utility>

namespace bramble::worker {

Status SystemError(int error_number, const std::string& path, const char* action) {
  const std::string reason = std::generic_category().message(error_number);
  switch (error_number) {
    case ENOENT:
      return NotFound(path, ": ", action, ": ", reason);
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      return Exhausted(path, ": ", action, ": ", reason);
    case EACCES:
    case EPERM:
    case EROFS:
      return Denied(path, ": ", action, ": ", reason);
    case EIO:
      return DataLoss(path, ": ", action, ": ", reason, " (is the disk failing?)");
    default:
      return Failed(path, ": ", action, ": ", reason);
  }
}

MappedFile::~MappedFile() {
  // munmap takes a pointer to non-const though nothing was writable.
  if (data_ != nullptr) munmap(const_cast<std::byte*>(data_), size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

Result<MappedFile> MappedFile::Map(const File& file, std::uint64_t size, const std::string& path) {
  MappedFile mapped;
  if (size == 0) return mapped;
  void* data = mmap(nullptr, size, PROT_READ, MAP_SHARED, file.descriptor(), 0);
  if (data == MAP_FAILED) return SystemError(errno, path, "mapping");
  mapped.data_ = static_cast<const std::byte*>(data);
  mapped.size_ = size;
  return mapped;
}

}  // namespace bramble::worker
