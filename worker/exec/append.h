#pragma once

#include <cstddef>
#include <memory>

#include "kernels/encodings/encoding.h"
#include "worker/exec/binder.h"
#include "worker/exec/task.h"

namespace bramble::worker {

// Where one cache's numbers lie in a page, in bytes: all keys of head 0, of head 1, ..., then the
// values likewise; within a head one position after the other, so that attention reads straight on.
struct CacheLayout {
  kernels::Encoding encoding = kernels::Encoding::kF32;
  std::size_t number_bytes = 0;
  std::size_t page_positions = 0;
  std::size_t kv_heads = 0;
  std::size_t key_dim = 0;
  std::size_t value_dim = 0;
  std::size_t offset = 0;  // of the cache in the page

  std::size_t key_stride() const { return key_dim * number_bytes; }
  std::size_t value_stride() const { return value_dim * number_bytes; }
  std::size_t key_offset(std::size_t head) const {
    return offset + head * page_positions * key_stride();
  }
  std::size_t value_offset(std::size_t head) const {
    return offset + kv_heads * page_positions * key_stride() +
           head * page_positions * value_stride();
  }
};

CacheLayout LayoutOf(const Binder& binder, std::uint32_t cache);

// The node that writes an attention's keys and values into its cache, row by row.
std::unique_ptr<RowOperation> BindAppend(const Binder& binder, const program::Node& node);

}  // namespace bramble::worker
