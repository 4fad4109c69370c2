// The simplest packed layout: the rows in file order, padded with zero bytes to whole panels. For
// ordinary code only.
#pragma once

#include <cstddef>
#include <cstring>

#include "kernels/encodings/encoding.h"
#include "kernels/matmul.h"

namespace bramble::kernels::portable {

inline std::size_t FileRowBytes(const EncodingInfo& info, const MatmulShape& shape) {
  return static_cast<std::size_t>(shape.inputs) / info.block_values * info.block_bytes;
}

template <Encoding kEncoding>
std::size_t FileOrderBytes(const MatmulShape& shape) {
  return Panels(shape) * kPanelRows * FileRowBytes(*FindEncoding(kEncoding), shape);
}

template <Encoding kEncoding>
void PackFileOrder(const MatmulShape& shape, const std::byte* rows, std::byte* packed,
                   std::size_t first_panel, std::size_t last_panel) {
  const std::size_t row_bytes = FileRowBytes(*FindEncoding(kEncoding), shape);
  const std::size_t first = first_panel * kPanelRows * row_bytes;
  const std::size_t end = last_panel * kPanelRows * row_bytes;
  const std::size_t all = shape.outputs * row_bytes;
  const std::size_t filled = end < all ? end : all;
  std::memcpy(packed + first, rows + first, filled - first);
  if (end > filled) std::memset(packed + filled, 0, end - filled);
}

template <Encoding kEncoding>
void UnpackFileOrder(const MatmulShape& shape, const std::byte* packed, std::size_t row,
                     float* out) {
  const EncodingInfo& info = *FindEncoding(kEncoding);
  info.decode(packed + row * FileRowBytes(info, shape), shape.inputs / info.block_values, out);
}

}  // namespace bramble::kernels::portable
