// Packing of panels. For ordinary code only.
#pragma once

#include <cstddef>

#include "kernels/matmul.h"
#include "kernels/panels/layouts.h"

namespace bramble::kernels::panels {

// The layout of an encoding that has panels.
template <Encoding kEncoding>
const Layout& LayoutOf();
template <>
const Layout& LayoutOf<Encoding::kQ4_0>();
template <>
const Layout& LayoutOf<Encoding::kQ4_1>();
template <>
const Layout& LayoutOf<Encoding::kQ5_0>();
template <>
const Layout& LayoutOf<Encoding::kQ5_1>();
template <>
const Layout& LayoutOf<Encoding::kQ8_0>();
template <>
const Layout& LayoutOf<Encoding::kQ2_K>();
template <>
const Layout& LayoutOf<Encoding::kQ3_K>();
template <>
const Layout& LayoutOf<Encoding::kQ4_K>();
template <>
const Layout& LayoutOf<Encoding::kQ5_K>();
template <>
const Layout& LayoutOf<Encoding::kQ6_K>();
template <>
const Layout& LayoutOf<Encoding::kInt2>();
template <>
const Layout& LayoutOf<Encoding::kInt3>();
template <>
const Layout& LayoutOf<Encoding::kInt4>();
template <>
const Layout& LayoutOf<Encoding::kInt5>();
template <>
const Layout& LayoutOf<Encoding::kInt6>();
template <>
const Layout& LayoutOf<Encoding::kInt8>();
template <>
const Layout& LayoutOf<Encoding::kInt4x128>();
template <>
const Layout& LayoutOf<Encoding::kNf4>();
template <>
const Layout& LayoutOf<Encoding::kFp4>();
template <>
const Layout& LayoutOf<Encoding::kF8E4M3>();
template <>
const Layout& LayoutOf<Encoding::kF32>();
template <>
const Layout& LayoutOf<Encoding::kF16>();
template <>
const Layout& LayoutOf<Encoding::kBf16>();

std::size_t PackedBytes(const Layout& layout, const MatmulShape& shape);
void Pack(const Layout& layout, const MatmulShape& shape, const std::byte* rows, std::byte* packed,
          std::size_t first_panel, std::size_t last_panel);
void UnpackRow(const Layout& layout, const MatmulShape& shape, const std::byte* packed,
               std::size_t row, float* out);

// The same as MatmulKernel wants them.
template <Encoding kEncoding>
std::size_t PackedBytesOf(const MatmulShape& shape) {
  return PackedBytes(LayoutOf<kEncoding>(), shape);
}
template <Encoding kEncoding>
void PackOf(const MatmulShape& shape, const std::byte* rows, std::byte* packed,
            std::size_t first_panel, std::size_t last_panel) {
  Pack(LayoutOf<kEncoding>(), shape, rows, packed, first_panel, last_panel);
}
template <Encoding kEncoding>
void UnpackRowOf(const MatmulShape& shape, const std::byte* packed, std::size_t row, float* out) {
  UnpackRow(LayoutOf<kEncoding>(), shape, packed, row, out);
}

}  // namespace bramble::kernels::panels
