#include "worker/exec/append.h"

#include <cstring>

#include "kernels/convert.h"

namespace bramble::worker {
namespace {

class AppendOperation final : public RowOperation {
 public:
  AppendOperation(const Binder& binder, const program::Node& node)
      : rows_(binder.InputRows(node, 1)),
        keys_(binder.Input(node, 1)),
        values_(binder.Input(node, 2)),
        cache_(LayoutOf(binder, binder.OperationOf(node).attention().cache())) {
    if (cache_.encoding == kernels::Encoding::kF16) {
      to_half_ = binder.Choose(kernels::FloatsToHalvesRows());
    }
  }

  void Run(const StepContext& step, std::uint32_t row, std::size_t, std::size_t) const override {
    const Row& r = PlacesOf(step, rows_)[row];
    std::byte* page = r.pages[r.position / cache_.page_positions];
    const std::size_t slot = r.position % cache_.page_positions;
    for (std::size_t head = 0; head < cache_.kv_heads; ++head) {
      Store(keys_.row(row) + head * cache_.key_dim, cache_.key_dim,
            page + cache_.key_offset(head) + slot * cache_.key_stride());
      Store(values_.row(row) + head * cache_.value_dim, cache_.value_dim,
            page + cache_.value_offset(head) + slot * cache_.value_stride());
    }
  }
  std::size_t width() const override { return keys_.width + values_.width; }

 private:
  void Store(const float* numbers, std::size_t count, std::byte* place) const {
    if (to_half_ == nullptr) {
      std::memcpy(place, numbers, count * sizeof(float));
    } else {
      to_half_(numbers, count, reinterpret_cast<std::uint16_t*>(place));
    }
  }

  v1::RowKind rows_;
  RowsView keys_;
  RowsView values_;
  CacheLayout cache_;
  kernels::FloatsToHalvesFn to_half_ = nullptr;
};

}  // namespace

CacheLayout LayoutOf(const Binder& binder, std::uint32_t cache) {
  const v1::KeyValueCache& kv = binder.program.caches(static_cast<int>(cache)).key_value();
  CacheLayout layout;
  layout.encoding =
      kv.encoding() == v1::ENCODING_F16 ? kernels::Encoding::kF16 : kernels::Encoding::kF32;
  layout.number_bytes = kv.encoding() == v1::ENCODING_F16 ? 2 : 4;
  layout.page_positions = binder.limits.page_positions();
  layout.kv_heads = kv.kv_heads();
  layout.key_dim = kv.key_dim();
  layout.value_dim = kv.value_dim();
  layout.offset = binder.pages.cache_offset[cache];
  return layout;
}

std::unique_ptr<RowOperation> BindAppend(const Binder& binder, const program::Node& node) {
  return std::make_unique<AppendOperation>(binder, node);
}

}  // namespace bramble::worker
