// Tables of an operation's variants.
#pragma once

#include <span>

#include "kernels/cpu.h"

namespace bramble::kernels {

// One way to compute an operation. All rows of a table give the same bits.
template <typename Function>
struct Row {
  const char* name;  // "rms_norm/avx2"
  Features needs;
  Function run;
};

// A table lists its best row first; the last one needs nothing.
template <typename Function>
using Rows = std::span<const Row<Function>>;

// The first row that `available` can run.
template <typename Function>
const Row<Function>& Best(Rows<Function> rows, Features available) {
  for (const Row<Function>& row : rows) {
    if (Has(available, row.needs)) return row;
  }
  return rows.back();
}

}  // namespace bramble::kernels
