#include "worker/exec/task.h"

#include <algorithm>
#include <utility>

namespace bramble::worker {
namespace {

// Columns of one piece: enough work to be worth handing out, a multiple of 32.
constexpr std::size_t kPiece = 512;

// Numbers that one thread makes in about a microsecond: what it takes others to notice that there
// is work.
constexpr std::size_t kFewNumbers = 4096;

}  // namespace

RowsTask::RowsTask(v1::RowKind rows, std::vector<std::unique_ptr<RowOperation>> operations)
    : rows_(rows), operations_(std::move(operations)) {
  const std::size_t width = operations_.front()->width();
  bool cut = true;
  for (const auto& operation : operations_) {
    numbers_ += operation->width();
    cut = cut && operation->IsElementWise() && operation->width() == width;
  }
  if (cut) parts_ = (width + kPiece - 1) / kPiece;
}

std::uint64_t RowsTask::Items(const StepContext& step) const {
  return RowCount(step, rows_) * parts_;
}

bool RowsTask::IsSmall(const StepContext& step) const {
  return RowCount(step, rows_) * numbers_ <= kFewNumbers;
}

void RowsTask::Run(const StepContext& step, std::uint64_t first, std::uint64_t last,
                   int /*thread*/) const {
  for (std::uint64_t item = first; item < last; ++item) {
    const auto row = static_cast<std::uint32_t>(item / parts_);
    const std::size_t begin = item % parts_ * kPiece;
    for (const auto& operation : operations_) {
      const std::size_t width = operation->width();
      operation->Run(step, row, begin, parts_ > 1 ? std::min(begin + kPiece, width) : width);
    }
  }
}

}  // namespace bramble::worker
