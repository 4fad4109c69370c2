#include "worker/store/weight_store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

namespace bramble::worker {
namespace {

namespace fs = std::filesystem;

// Left on the disk for the logs and the rest of the machine.
constexpr std::uint64_t kDiskReserve = std::uint64_t{64} << 20;
constexpr std::size_t kReadBytes = std::size_t{1} << 20;
constexpr std::string_view kPartSuffix = ".part";

std::string HexOf(const WeightHash& hash) {
  return Hex({reinterpret_cast<const std::uint8_t*>(hash.data()), hash.size()});
}

WeightHash HashOf(Sha256Stream& sum) {
  const Sha256 hash = sum.Finish();
  return {reinterpret_cast<const char*>(hash.data()), hash.size()};
}

Result<File> OpenFile(const std::string& path, int flags) {
  const int descriptor = open(path.c_str(), flags | O_CLOEXEC, 0640);
  if (descriptor < 0) return SystemError(errno, path, "opening");
  return File(descriptor);
}

Result<std::uint64_t> SizeOf(const File& file, const std::string& path) {
  struct stat info = {};
  if (fstat(file.descriptor(), &info) != 0) return SystemError(errno, path, "asking its size");
  return static_cast<std::uint64_t>(info.st_size);
}

// The hash that a file of the store is named by; nothing for a file that is not the store's.
std::optional<WeightHash> HashOfName(std::string_view name) {
  if (name.ends_with(kPartSuffix)) name.remove_suffix(kPartSuffix.size());
  if (name.size() != 64) return std::nullopt;
  auto hash = BytesFromHex(name);
  if (!hash.ok()) return std::nullopt;
  return *std::move(hash);
}

// Adds the file's bytes from its start to the sum. Reads, rather than maps: a disk's error is then
// a status and not a signal.
Status HashFile(const File& file, std::uint64_t size, const std::string& path, Sha256Stream& sum) {
  std::vector<std::byte> buffer(std::min<std::uint64_t>(size, kReadBytes));
  std::uint64_t done = 0;
  while (done < size) {
    const std::size_t wanted = std::min<std::uint64_t>(buffer.size(), size - done);
    const ssize_t n = pread(file.descriptor(), buffer.data(), wanted, static_cast<off_t>(done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return SystemError(errno, path, "reading");
    if (n == 0) return DataLoss(path, ": ends at byte ", done, " of ", size);
    sum.Add(std::span<const std::byte>(buffer.data(), static_cast<std::size_t>(n)));
    done += static_cast<std::uint64_t>(n);
  }
  return {};
}

struct StoredFile {
  WeightHash hash;
  fs::path path;
  std::uint64_t bytes = 0;
  fs::file_time_type used;
};

// What is known of a file; nothing if it is not the store's, or goes away meanwhile.
std::optional<StoredFile> Inspect(const fs::directory_entry& entry) {
  std::error_code error;
  auto hash = HashOfName(entry.path().filename().native());
  if (!hash || !entry.is_regular_file(error)) return std::nullopt;
  StoredFile file{.hash = *std::move(hash), .path = entry.path(), .bytes = 0, .used = {}};
  file.bytes = entry.file_size(error);
  if (!error) file.used = entry.last_write_time(error);
  if (error) return std::nullopt;
  return file;
}

std::vector<StoredFile> ListFiles(const std::string& folder) {
  std::vector<StoredFile> files;
  std::error_code error;
  fs::recursive_directory_iterator entry(folder, error);
  while (!error && entry != fs::recursive_directory_iterator()) {
    if (auto file = Inspect(*entry)) files.push_back(*std::move(file));
    entry.increment(error);
  }
  return files;
}

Status CheckHash(const WeightHash& hash) {
  if (hash.size() == 32) return {};
  return Invalid("a weight's SHA-256 has ", hash.size(), " bytes, not 32");
}

}  // namespace

WeightStore::WeightStore(std::string folder, std::uint64_t max_bytes, File lock)
    : folder_(std::move(folder)), max_bytes_(max_bytes), lock_(std::move(lock)) {}

Result<std::unique_ptr<WeightStore>> WeightStore::Open(const std::string& folder,
                                                       std::uint64_t max_bytes) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return SystemError(error.value(), folder, "making the folder of weights");
  ASSIGN_OR_RETURN(File lock, OpenFile(folder + "/lock", O_RDWR | O_CREAT));
  if (flock(lock.descriptor(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return SystemError(errno, folder, "locking");
    return Failed(folder, ": another worker uses this folder; give each its own state folder");
  }
  return std::unique_ptr<WeightStore>(new WeightStore(folder, max_bytes, std::move(lock)));
}

std::string WeightStore::PathOf(const WeightHash& hash) const {
  const std::string hex = HexOf(hash);
  return folder_ + "/" + hex.substr(0, 2) + "/" + hex;
}

bool WeightStore::Has(const WeightHash& hash, std::uint64_t size) const {
  if (!CheckHash(hash).ok()) return false;
  std::error_code error;
  const std::uint64_t found = fs::file_size(PathOf(hash), error);
  return !error && found == size;
}

Result<MappedFile> WeightStore::Map(const WeightHash& hash, std::uint64_t size) {
  RETURN_IF_ERROR(CheckHash(hash));
  const std::string path = PathOf(hash);
  ASSIGN_OR_RETURN(File file, OpenFile(path, O_RDONLY));
  ASSIGN_OR_RETURN(const std::uint64_t found, SizeOf(file, path));
  bool known = false;
  {
    const MutexLock lock(mu_);
    known = verified_.contains(hash);
  }
  Status status;
  if (found != size) {
    status = DataLoss(path, ": has ", found, " bytes, the weight has ", size);
  } else if (!known) {
    Sha256Stream sum;
    status = HashFile(file, size, path, sum);
    if (status.ok() && HashOf(sum) != hash) status = DataLoss(path, ": is corrupt");
  }
  if (!status.ok()) {
    unlink(path.c_str());
    const MutexLock lock(mu_);
    verified_.erase(hash);
    return status;
  }
  futimens(file.descriptor(),
           nullptr);  // the time of last use, for MakeRoom; a failure only ages it
  MarkVerified(hash);
  return MappedFile::Map(file, size, path);
}

void WeightStore::MarkVerified(const WeightHash& hash) {
  const MutexLock lock(mu_);
  verified_.insert(hash);
}

Result<Download> WeightStore::Fetch(const WeightHash& hash, std::uint64_t size) {
  RETURN_IF_ERROR(CheckHash(hash));
  const std::string path = PathOf(hash);
  std::error_code error;
  fs::create_directories(fs::path(path).parent_path(), error);
  if (error) return SystemError(error.value(), path, "making its folder");
  Download download;
  download.store_ = this;
  download.hash_ = hash;
  download.size_ = size;
  download.path_ = path + std::string(kPartSuffix);
  ASSIGN_OR_RETURN(download.file_, OpenFile(download.path_, O_RDWR | O_CREAT));
  RETURN_IF_ERROR(download.TakeUp());
  return download;
}

Status WeightStore::MakeRoom(std::uint64_t needed, const std::set<WeightHash>& keep) {
  const StoreUsage usage = Usage();
  if (usage.free_bytes >= needed) return {};
  std::vector<StoredFile> candidates = ListFiles(folder_);
  std::erase_if(candidates, [&](const StoredFile& file) { return keep.contains(file.hash); });
  std::uint64_t evictable = 0;
  for (const StoredFile& file : candidates) evictable += file.bytes;
  if (evictable < needed - usage.free_bytes) {
    return Exhausted(folder_, ": ", needed, " bytes of weights are missing, ", usage.free_bytes,
                     " are free and ", evictable, " could be freed (", kDiskReserve,
                     " stay free on the disk); make room, or give the worker another state folder");
  }
  std::sort(candidates.begin(), candidates.end(),
            [](const StoredFile& a, const StoredFile& b) { return a.used < b.used; });
  std::uint64_t free = usage.free_bytes;
  for (const StoredFile& file : candidates) {
    if (free >= needed) break;
    std::error_code error;
    fs::remove(file.path, error);
    if (error) return SystemError(error.value(), file.path, "evicting");
    free += file.bytes;
    const MutexLock lock(mu_);
    verified_.erase(file.hash);
  }
  return {};
}

StoreUsage WeightStore::Usage() const {
  StoreUsage usage;
  for (const StoredFile& file : ListFiles(folder_)) usage.bytes += file.bytes;
  struct statvfs disk = {};
  if (statvfs(folder_.c_str(), &disk) == 0) {
    const std::uint64_t free = std::uint64_t{disk.f_bavail} * disk.f_frsize;
    usage.free_bytes = free > kDiskReserve ? free - kDiskReserve : 0;
  }
  if (max_bytes_ != 0) {
    const std::uint64_t allowed = max_bytes_ > usage.bytes ? max_bytes_ - usage.bytes : 0;
    usage.free_bytes = std::min(usage.free_bytes, allowed);
  }
  return usage;
}

Status Download::TakeUp() {
  ASSIGN_OR_RETURN(const std::uint64_t length, SizeOf(file_, path_));
  if (length > size_) {
    if (ftruncate(file_.descriptor(), 0) != 0) return SystemError(errno, path_, "cutting");
    return {};
  }
  RETURN_IF_ERROR(HashFile(file_, length, path_, *sum_));
  offset_ = length;
  return {};
}

Status Download::Append(std::string_view bytes) {
  if (bytes.size() > size_ - offset_) {
    return Invalid(path_, ": ", bytes.size(), " more bytes after ", offset_, " of ", size_);
  }
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n = pwrite(file_.descriptor(), bytes.data() + done, bytes.size() - done,
                             static_cast<off_t>(offset_ + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return SystemError(errno, path_, "writing");
    done += static_cast<std::size_t>(n);
  }
  sum_->Add(bytes);
  offset_ += bytes.size();
  return {};
}

Status Download::Finish() {
  if (offset_ != size_) return Failed(path_, ": has ", offset_, " of ", size_, " bytes");
  const std::string path = store_->PathOf(hash_);
  if (HashOf(*sum_) != hash_) {
    unlink(path_.c_str());
    return DataLoss(path, ": the bytes that came are not those of the weight");
  }
  if (rename(path_.c_str(), path.c_str()) != 0) return SystemError(errno, path_, "renaming");
  store_->MarkVerified(hash_);
  return {};
}

}  // namespace bramble::worker
