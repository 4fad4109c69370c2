// A PyTorch file as it comes from a stranger: a zip archive or pickles one behind the other.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "common/check.h"
#include "model/files/pytorch.h"

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace bramble::model;
  const auto bytes = std::as_bytes(std::span(data, size));
  const auto inside = [](std::span<const std::byte> part, std::span<const std::byte> whole) {
    return part.empty() || (part.data() >= whole.data() &&
                            part.data() + part.size() <= whole.data() + whole.size());
  };
  const auto file = files::ReadPytorch(bytes);
  if (!file.ok()) {
    CHECK(!file.status().message().empty());
    return 0;
  }
  std::size_t owned = 0;
  for (const auto& copy : file->owned) owned += copy->size();
  CHECK(owned <= size);
  for (const files::Tensor& tensor : file->tensors) {
    CHECK(inside(tensor.bytes, bytes) ||
          std::any_of(file->owned.begin(), file->owned.end(),
                      [&](const auto& copy) { return inside(tensor.bytes, *copy); }));
  }
  for (const auto& [key, value] : file->metadata) CHECK(!value.ToText().empty());
  return 0;
}
