#include "model/files/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "model/files/quote.h"

namespace bramble::model::files {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int number() const { return number_; }

 private:
  int number_;
};

Status CannotOpen(const std::string& path) {
  const int error = errno;
  const std::string reason = std::generic_category().message(error);
  if (error == ENOENT || error == ENOTDIR) return NotFound(QuotePath(path), ": ", reason);
  if (error == EACCES || error == EPERM) return Denied(QuotePath(path), ": ", reason);
  return Failed(QuotePath(path), ": ", reason);
}

}  // namespace

Result<std::shared_ptr<const MappedFile>> MappedFile::Open(const std::string& path) {
  if (path.find('\0') != std::string::npos) return Invalid(QuotePath(path), ": not a file name");
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (file.number() < 0) return CannotOpen(path);
  struct stat about = {};
  if (::fstat(file.number(), &about) != 0) return CannotOpen(path);
  if (!S_ISREG(about.st_mode)) {
    return Invalid(QuotePath(path), ": ",
                   S_ISDIR(about.st_mode) ? "a folder" : "not a regular file",
                   ", where a file is needed");
  }
  const auto size = static_cast<std::size_t>(about.st_size);
  std::span<const std::byte> bytes;
  if (size > 0) {
    void* start = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.number(), 0);
    if (start == MAP_FAILED) return CannotOpen(path);
    bytes = {static_cast<const std::byte*>(start), size};
  }
  return std::shared_ptr<const MappedFile>(new MappedFile(path, bytes));
}

MappedFile::~MappedFile() {
  if (bytes_.empty()) return;
  // munmap takes a pointer to non-const, and changes nothing behind it.
  ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

Result<std::string> ReadText(const std::string& path, std::size_t limit) {
  ASSIGN_OR_RETURN(const auto file, MappedFile::Open(path));
  const std::span<const std::byte> bytes = file->bytes();
  if (bytes.size() > limit) {
    return Invalid(QuotePath(path), ": ", bytes.size(), " bytes, the limit is ", limit);
  }
  return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

}  // namespace bramble::model::files
