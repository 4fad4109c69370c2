#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "common/files.h"
#include "common/mutex.h"
#include "common/sha256.h"
#include "common/status.h"
#include "worker/store/mapped_file.h"

namespace bramble::worker {

// The hash of a weight as its 32 raw bytes; files are named by its 64 hex digits.
using WeightHash = std::string;

class WeightStore;

// One weight on its way to the disk. It outlives a lost connection and a restart as
// FOLDER/ab/HASH.part, whose length says how far it came. Not thread-safe; one for a weight at a
// time. The store outlives it.
class Download {
 public:
  // Bytes that are here already: what to ask the source for next.
  std::uint64_t offset() const { return offset_; }
  std::uint64_t size() const { return size_; }

  // InvalidArgument: more than the weight has. ResourceExhausted: the disk is full.
  Status Append(std::string_view bytes);
  // Makes the weight count, by one rename. DataLoss: the bytes are not those of the hash; they are
  // gone, and a new download starts from nothing. FailedPrecondition: bytes are missing.
  Status Finish();

 private:
  friend class WeightStore;
  Download() : sum_(std::make_unique<Sha256Stream>()) {}
  // Hashes what an earlier run has left.
  Status TakeUp();

  WeightStore* store_ = nullptr;
  WeightHash hash_;
  std::string path_;  // of the part
  File file_;
  std::unique_ptr<Sha256Stream> sum_;  // of all bytes that are here
  std::uint64_t offset_ = 0;
  std::uint64_t size_ = 0;
};

struct StoreUsage {
  std::uint64_t bytes = 0;       // of weights and parts
  std::uint64_t free_bytes = 0;  // that may still be added
};

// Weights on this machine's disk, by content: FOLDER/<first 2 hex digits>/<64 hex digits>.
//
// Each weight is hashed once a process, when it is first mapped: a card that rots or a power cut in
// the middle of a write is found then, and the weight is fetched again. So nothing is ever fsynced,
// and no index can be wrong: the folder is the index. The hash costs little beside the disk that
// the bytes come from.
//
// Thread-safe, but for one weight at a time in one download.
class WeightStore {
 public:
  // Makes the folder. `max_bytes` (0: the disk decides) bounds all weights together.
  // FailedPrecondition when another process holds the folder.
  static Result<std::unique_ptr<WeightStore>> Open(const std::string& folder,
                                                   std::uint64_t max_bytes = 0);

  // Whether a file of that name and size lies there; it may yet prove corrupt.
  bool Has(const WeightHash& hash, std::uint64_t size) const;
  // The verified bytes. NotFound: fetch it. DataLoss: it was corrupt and has been removed; fetch
  // it.
  Result<MappedFile> Map(const WeightHash& hash, std::uint64_t size);
  // Continues or begins a download.
  Result<Download> Fetch(const WeightHash& hash, std::uint64_t size);
  // Evicts weights that are not in `keep`, longest unused first, until `needed` more bytes fit.
  // ResourceExhausted, with the sum, when all of them would not do; then nothing has been evicted.
  Status MakeRoom(std::uint64_t needed, const std::set<WeightHash>& keep);
  StoreUsage Usage() const;

 private:
  friend class Download;
  WeightStore(std::string folder, std::uint64_t max_bytes, File lock);
  std::string PathOf(const WeightHash& hash) const;
  void MarkVerified(const WeightHash& hash);

  const std::string folder_;
  const std::uint64_t max_bytes_;
  const File lock_;
  mutable Mutex mu_;
  std::set<WeightHash> verified_ GUARDED_BY(mu_);  // by this process
};

}  // namespace bramble::worker
