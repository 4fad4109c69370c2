#include "kernels/panels/pack.h"

#include <cstring>

namespace bramble::kernels::panels {
namespace {

constexpr std::size_t kMaxExpandedBytes = 256;
constexpr std::byte kZeroBlock[kMaxExpandedBytes] = {};

struct Sizes {
  std::size_t units;
  std::size_t unit_bytes;
  std::size_t row_bytes;  // in the file
};

Sizes SizesOf(const Layout& layout, const MatmulShape& shape) {
  const EncodingInfo& info = *FindEncoding(layout.encoding);
  const std::size_t units = shape.inputs / info.block_values;
  return {units, layout.expanded_bytes * kPanelRows, units * info.block_bytes};
}

template <std::size_t kElement>
void CopyElements(const std::byte* from, std::size_t from_step, std::size_t bytes, std::byte* to,
                  std::size_t to_step) {
  for (std::size_t i = 0; i < bytes / kElement; ++i) {
    std::memcpy(to + i * to_step, from + i * from_step, kElement);
  }
}

// Writes one row of a unit.
void ToUnit(const Layout& layout, std::size_t row, const std::byte* expanded, std::byte* unit) {
  for (const Field& field : layout.fields) {
    const std::byte* from = expanded + field.from;
    std::byte* to = unit + row * field.element;
    const std::size_t step = field.element * kPanelRows;
    if (field.element == 2) CopyElements<2>(from, 2, field.bytes, to, step);
    if (field.element == 4) CopyElements<4>(from, 4, field.bytes, to, step);
    unit += field.bytes * kPanelRows;
  }
}

// Reads it back.
void FromUnit(const Layout& layout, std::size_t row, const std::byte* unit, std::byte* expanded) {
  for (const Field& field : layout.fields) {
    const std::byte* from = unit + row * field.element;
    std::byte* to = expanded + field.from;
    const std::size_t step = field.element * kPanelRows;
    if (field.element == 2) CopyElements<2>(from, step, field.bytes, to, 2);
    if (field.element == 4) CopyElements<4>(from, step, field.bytes, to, 4);
    unit += field.bytes * kPanelRows;
  }
}

}  // namespace

std::size_t PackedBytes(const Layout& layout, const MatmulShape& shape) {
  const Sizes sizes = SizesOf(layout, shape);
  return Panels(shape) * sizes.units * sizes.unit_bytes;
}

void Pack(const Layout& layout, const MatmulShape& shape, const std::byte* rows, std::byte* packed,
          std::size_t first_panel, std::size_t last_panel) {
  const Sizes sizes = SizesOf(layout, shape);
  const std::size_t block_bytes = FindEncoding(layout.encoding)->block_bytes;
  std::byte expanded[kMaxExpandedBytes];
  for (std::size_t panel = first_panel; panel < last_panel; ++panel) {
    std::byte* unit = packed + panel * sizes.units * sizes.unit_bytes;
    for (std::size_t u = 0; u < sizes.units; ++u, unit += sizes.unit_bytes) {
      for (std::size_t r = 0; r < kPanelRows; ++r) {
        const std::size_t row = panel * kPanelRows + r;
        const std::byte* block = kZeroBlock;  // padding: its results are dropped
        if (row < shape.outputs) {
          block = rows + row * sizes.row_bytes + u * block_bytes;
          if (layout.expand != nullptr) {
            layout.expand(block, expanded);
            block = expanded;
          }
        }
        ToUnit(layout, r, block, unit);
      }
    }
  }
}

void UnpackRow(const Layout& layout, const MatmulShape& shape, const std::byte* packed,
               std::size_t row, float* out) {
  const Sizes sizes = SizesOf(layout, shape);
  const EncodingInfo& info = *FindEncoding(layout.encoding);
  std::byte expanded[kMaxExpandedBytes];
  std::byte restored[kMaxExpandedBytes];
  const std::byte* unit = packed + row / kPanelRows * sizes.units * sizes.unit_bytes;
  for (std::size_t u = 0; u < sizes.units; ++u, unit += sizes.unit_bytes) {
    FromUnit(layout, row % kPanelRows, unit, expanded);
    const std::byte* block = expanded;
    if (layout.restore != nullptr) {
      layout.restore(expanded, restored);
      block = restored;
    }
    info.decode(block, 1, out + u * info.block_values);
  }
}

}  // namespace bramble::kernels::panels
