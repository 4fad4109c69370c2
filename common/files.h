#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <string_view>

#include "common/status.h"

namespace bramble {

// An open file descriptor, closed with its owner. Moves only.
class File {
 public:
  File() = default;
  explicit File(int descriptor) : descriptor_(descriptor) {}
  ~File() { Close(); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  File(File&& other) noexcept : descriptor_(other.Release()) {}
  File& operator=(File&& other) noexcept;

  bool valid() const { return descriptor_ >= 0; }
  int descriptor() const { return descriptor_; }
  // Gives the descriptor away.
  int Release();
  void Close();

 private:
  int descriptor_ = -1;
};

struct RegularFile {
  File file;
  std::size_t bytes = 0;
};

// Opens an existing regular file for reading. Never blocks on a pipe or a device: anything but a
// regular file is an error that names the path.
Result<RegularFile> OpenRegularFile(const std::string& path);

// The whole file. ResourceExhausted if it has more than `limit` bytes; NotFound if there is none.
Result<std::string> ReadSmallFile(const std::string& path, std::size_t limit);

// Replaces the file at once or not at all: a temporary file beside it, fsync, rename, fsync of the
// folder. `mode` is the file's (0600 for secrets) whatever the umask.
Status WriteFileAtomically(const std::string& path, std::string_view content, mode_t mode = 0644);

// The same for a file that must not exist yet: AlreadyExists if it does, even if it came in this
// very moment.
Status WriteNewFile(const std::string& path, std::string_view content, mode_t mode = 0644);

// Makes renames and new files in the folder durable.
Status SyncFolder(const std::string& path);

// Makes the folder and those above it; new ones get `mode`. An existing folder stays as it is.
Status MakeFolders(const std::string& path, mode_t mode = 0755);

// "a" + "b" = "a/b".
std::string JoinPath(std::string_view folder, std::string_view name);

// A new folder under $TMPDIR (or /tmp), only for this user; removed with all it holds when the
// object goes.
class TemporaryFolder {
 public:
  static Result<TemporaryFolder> Make();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  TemporaryFolder(TemporaryFolder&& other) noexcept;
  TemporaryFolder& operator=(TemporaryFolder&& other) noexcept;

  const std::string& path() const { return path_; }

 private:
  explicit TemporaryFolder(std::string path) : path_(std::move(path)) {}
  void Remove();

  std::string path_;  // empty: nothing to remove
};

}  // namespace bramble
