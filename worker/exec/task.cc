#include "worker/exec/task.h"

#include <algorithm>
#include <utility>

namespace bramble::worker {
namespace {

// Columns of one piece: enough work to be worth handing out, a multiple of 32.
constexpr std::size_t kPiece = 512;

}  // namespace

RowsTask::RowsTask(v1::RowKind rows, std::vector<std::unique_ptr<RowOperation>> operations)
    : rows_(rows), operations_(std::move(operations)) {
  width_ = operations_.front()->element_wise_width();
  for (const auto& operation : operations_) {
    if (operation->element_wise_width() != width_) width_ = 0;
  }
  if (width_ > 0) parts_ = (width_ + kPiece - 1) / kPiece;
}

std::uint64_t RowsTask::Items(const StepContext& step) const {
  return RowCount(step, rows_) * parts_;
}

void RowsTask::Run(const StepContext& step, std::uint64_t first, std::uint64_t last,
                   int /*thread*/) const {
  for (std::uint64_t item = first; item < last; ++item) {
    const auto row = static_cast<std::uint32_t>(item / parts_);
    const std::size_t begin = item % parts_ * kPiece;
    for (const auto& operation : operations_) {
      const std::size_t width = operation->element_wise_width();
      operation->Run(step, row, begin, parts_ > 1 ? std::min(begin + kPiece, width) : width);
    }
  }
}

}  // namespace bramble::worker
