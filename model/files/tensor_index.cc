#include "model/files/tensor_index.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "model/files/quote.h"

namespace bramble::model::files {

std::uint64_t Tensor::values() const {
  std::uint64_t count = 1;
  for (const std::uint64_t size : shape) count *= size;
  return count;
}

Status TensorIndex::Add(Tensor tensor) {
  if (tensors_.size() >= kMostTensors) {
    return Exhausted("more than ", kMostTensors, " tensors, which is the limit");
  }
  tensors_.push_back(std::move(tensor));
  return {};
}

Status TensorIndex::Seal() {
  std::sort(tensors_.begin(), tensors_.end(),
            [](const Tensor& a, const Tensor& b) { return a.name < b.name; });
  const auto twin =
      std::adjacent_find(tensors_.begin(), tensors_.end(),
                         [](const Tensor& a, const Tensor& b) { return a.name == b.name; });
  if (twin != tensors_.end()) return Invalid("two tensors are named ", Quote(twin->name));
  return {};
}

const Tensor* TensorIndex::Find(std::string_view name) const {
  const auto found =
      std::lower_bound(tensors_.begin(), tensors_.end(), name,
                       [](const Tensor& a, std::string_view b) { return a.name < b; });
  return found != tensors_.end() && found->name == name ? &*found : nullptr;
}

std::string ShapeText(std::span<const std::uint64_t> shape) {
  std::string text = "[";
  for (const std::uint64_t size : shape) {
    if (text.size() > 1) text += ", ";
    text += std::to_string(size);
  }
  return text + "]";
}

bool CountValues(std::span<const std::uint64_t> shape, std::uint64_t* values) {
  constexpr std::uint64_t kMost = std::numeric_limits<std::int64_t>::max();
  std::uint64_t count = 1;
  // A zero anywhere makes the product zero, whatever stands beside it.
  if (std::find(shape.begin(), shape.end(), 0u) != shape.end()) count = 0;
  for (const std::uint64_t size : shape) {
    if (count != 0 && size > kMost / count) return false;
    count *= size;
  }
  *values = count;
  return true;
}

Status CheckName(std::string_view name, std::size_t limit) {
  if (name.empty()) return Invalid("a name is empty");
  if (name.size() > limit) {
    return Invalid("the name ", Quote(name), " has ", name.size(), " bytes, the limit is ", limit);
  }
  if (name.find('\0') != std::string_view::npos) {
    return Invalid("the name ", Quote(name), " contains a NUL byte");
  }
  return {};
}

bool FindOverlap(std::vector<Extent>* extents, std::size_t* first, std::size_t* second) {
  std::erase_if(*extents, [](const Extent& e) { return e.begin == e.end; });
  std::sort(extents->begin(), extents->end(),
            [](const Extent& a, const Extent& b) { return a.begin < b.begin; });
  for (std::size_t i = 1; i < extents->size(); ++i) {
    const Extent& before = (*extents)[i - 1];
    if ((*extents)[i].begin >= before.end) continue;
    *first = before.tensor;
    *second = (*extents)[i].tensor;
    return true;
  }
  return false;
}

}  // namespace bramble::model::files
