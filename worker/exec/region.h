#pragma once

#include <cstddef>

#include "common/status.h"

namespace bramble::worker {

// Anonymous memory: zero, aligned to pages, in huge pages where the system has them. Given back at
// the end.
class Region {
 public:
  // ResourceExhausted, with `what`, if the system refuses. 0 bytes are nothing.
  static Result<Region> Allocate(std::size_t bytes, const char* what);

  Region() = default;
  ~Region();
  Region(Region&& other) noexcept;
  Region& operator=(Region&& other) noexcept;
  Region(const Region&) = delete;
  Region& operator=(const Region&) = delete;

  std::byte* data() const { return data_; }
  std::size_t size() const { return size_; }

 private:
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace bramble::worker
