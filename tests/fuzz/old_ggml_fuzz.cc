// A ggml file from before GGUF, as it comes from a stranger.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "common/check.h"
#include "model/files/old_ggml.h"

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace bramble::model;
  const auto bytes = std::as_bytes(std::span(data, size));
  const auto inside = [](std::span<const std::byte> part, std::span<const std::byte> whole) {
    return part.empty() || (part.data() >= whole.data() &&
                            part.data() + part.size() <= whole.data() + whole.size());
  };
  const auto model = files::ReadOldGgml(bytes);
  if (!model.ok()) {
    CHECK(!model.status().message().empty());
    return 0;
  }
  for (const files::Tensor& tensor : model->tensors.all()) {
    CHECK(inside(tensor.bytes, bytes) ||
          std::any_of(model->owned.begin(), model->owned.end(),
                      [&](const auto& copy) { return inside(tensor.bytes, *copy); }));
  }
  return 0;
}
