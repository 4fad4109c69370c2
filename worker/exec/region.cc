#include "worker/exec/region.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace bramble::worker {

Result<Region> Region::Allocate(std::size_t bytes, const char* what) {
  Region region;
  if (bytes == 0) return region;
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    return Exhausted("the system gives no ", bytes, " bytes for ", what, ": ",
                     std::strerror(errno));
  }
  // Advice only: weights are read from end to end in each step, and the table of pages costs as
  // much as the reading.
  static_cast<void>(madvise(memory, bytes, MADV_HUGEPAGE));
  region.data_ = static_cast<std::byte*>(memory);
  region.size_ = bytes;
  return region;
}

Region::~Region() {
  if (data_ != nullptr) munmap(data_, size_);
}

Region::Region(Region&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

Region& Region::operator=(Region&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

}  // namespace bramble::worker
