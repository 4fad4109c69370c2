#include "common/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "common/escape.h"
#include "common/sha256.h"

namespace bramble {
namespace {

Status FromErrno(std::string_view what, const std::string& path) {
  const int error = errno;
  const std::string text =
      internal::MakeStatus(Code::kUnknown, "cannot ", what, " '", Printable(path),
                           "': ", std::generic_category().message(error))
          .message();
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return {Code::kNotFound, text};
    case EACCES:
    case EPERM:
    case EROFS:
      return {Code::kPermissionDenied, text};
    case EEXIST:
      return {Code::kAlreadyExists, text};
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      return {Code::kResourceExhausted, text};
    default:
      return {Code::kFailedPrecondition, text};
  }
}

std::string FolderOf(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

Status WriteAll(int descriptor, std::string_view content, const std::string& path) {
  while (!content.empty()) {
    const ssize_t written = ::write(descriptor, content.data(), content.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return FromErrno("write", path);
    }
    content.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

Status WriteAndSync(const std::string& path, std::string_view content, mode_t mode) {
  const File file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file.valid()) return FromErrno("create", path);
  if (::fchmod(file.descriptor(), mode) != 0) return FromErrno("set the mode of", path);
  RETURN_IF_ERROR(WriteAll(file.descriptor(), content, path));
  if (::fsync(file.descriptor()) != 0) return FromErrno("sync", path);
  return {};
}

}  // namespace

File& File::operator=(File&& other) noexcept {
  if (this != &other) {
    Close();
    descriptor_ = other.Release();
  }
  return *this;
}

int File::Release() { return std::exchange(descriptor_, -1); }

void File::Close() {
  if (descriptor_ >= 0) ::close(Release());
}

Result<RegularFile> OpenRegularFile(const std::string& path) {
  if (path.find('\0') != std::string::npos) {
    return Invalid("the path '", Printable(path), "' has a zero byte in it");
  }
  RegularFile opened;
  opened.file = File(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!opened.file.valid()) return FromErrno("open", path);
  struct stat facts {};
  if (::fstat(opened.file.descriptor(), &facts) != 0) return FromErrno("look at", path);
  if (S_ISDIR(facts.st_mode)) return Invalid("'", Printable(path), "' is a folder, not a file");
  if (!S_ISREG(facts.st_mode)) {
    return Invalid("'", Printable(path), "' is not a regular file (a pipe, a device or a socket)");
  }
  opened.bytes = static_cast<std::size_t>(facts.st_size);
  return opened;
}

Result<std::string> ReadSmallFile(const std::string& path, std::size_t limit) {
  ASSIGN_OR_RETURN(const RegularFile opened, OpenRegularFile(path));
  if (opened.bytes > limit) {
    return Exhausted("'", Printable(path), "' has ", opened.bytes, " bytes, more than the ", limit,
                     " allowed here");
  }
  // Files of /proc and /sys say that they have no bytes: read to the end, not to the size.
  std::string content;
  std::array<char, 16384> part{};
  for (;;) {
    const ssize_t got = ::read(opened.file.descriptor(), part.data(), part.size());
    if (got < 0) {
      if (errno == EINTR) continue;
      return FromErrno("read", path);
    }
    if (got == 0) return content;
    content.append(part.data(), static_cast<std::size_t>(got));
    if (content.size() > limit) {
      return Exhausted("'", Printable(path), "' has more than the ", limit, " bytes allowed here");
    }
  }
}

Status SyncFolder(const std::string& path) {
  const File folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.valid()) return FromErrno("open", path);
  if (::fsync(folder.descriptor()) != 0) return FromErrno("sync", path);
  return {};
}

Status WriteFileAtomically(const std::string& path, std::string_view content, mode_t mode) {
  const std::string temporary = path + ".new-" + RandomBase32(10);
  Status status = WriteAndSync(temporary, content, mode);
  if (status.ok() && ::rename(temporary.c_str(), path.c_str()) != 0) {
    status = FromErrno("replace", path);
  }
  if (!status.ok()) {
    ::unlink(temporary.c_str());
    return status;
  }
  return SyncFolder(FolderOf(path));
}

Status WriteNewFile(const std::string& path, std::string_view content, mode_t mode) {
  const std::string temporary = path + ".new-" + RandomBase32(10);
  Status status = WriteAndSync(temporary, content, mode);
  // A hard link, unlike a rename, does not replace what is there.
  if (status.ok() && ::link(temporary.c_str(), path.c_str()) != 0) {
    status = FromErrno("create", path);
  }
  ::unlink(temporary.c_str());
  RETURN_IF_ERROR(status);
  return SyncFolder(FolderOf(path));
}

Status MakeFolders(const std::string& path, mode_t mode) {
  if (path.empty()) return Invalid("an empty path is no folder");
  for (std::size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    const std::string part = path.substr(0, end);
    if (::mkdir(part.c_str(), mode) != 0 && errno != EEXIST)
      return FromErrno("make the folder", part);
    if (end == std::string::npos) break;
  }
  struct stat facts {};
  if (::stat(path.c_str(), &facts) != 0) return FromErrno("look at", path);
  if (!S_ISDIR(facts.st_mode)) return Invalid("'", Printable(path), "' is not a folder");
  return {};
}

std::string JoinPath(std::string_view folder, std::string_view name) {
  std::string path(folder);
  if (!path.empty() && path.back() != '/') path += '/';
  return path += name;
}

Result<TemporaryFolder> TemporaryFolder::Make() {
  const char* base = std::getenv("TMPDIR");
  std::string path = JoinPath(base != nullptr && *base != '\0' ? base : "/tmp", "bramble-XXXXXX");
  if (::mkdtemp(path.data()) == nullptr) return FromErrno("make the folder", path);
  return TemporaryFolder(std::move(path));
}

TemporaryFolder::~TemporaryFolder() { Remove(); }

TemporaryFolder::TemporaryFolder(TemporaryFolder&& other) noexcept
    : path_(std::exchange(other.path_, {})) {}

TemporaryFolder& TemporaryFolder::operator=(TemporaryFolder&& other) noexcept {
  if (this != &other) {
    Remove();
    path_ = std::exchange(other.path_, {});
  }
  return *this;
}

void TemporaryFolder::Remove() {
  if (path_.empty()) return;
  std::error_code
      ignored;  // what cannot be removed is left for the system's own cleaning of temporary files
  std::filesystem::remove_all(path_, ignored);
  path_.clear();
}

}  // namespace bramble
