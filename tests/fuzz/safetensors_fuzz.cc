// A safetensors file, or a config.json, as it comes from a stranger.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "common/check.h"
#include "model/files/json.h"
#include "model/files/safetensors.h"

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace bramble::model;
  const auto bytes = std::as_bytes(std::span(data, size));
  const auto tensors = files::ReadSafetensors(bytes);
  if (tensors.ok()) {
    for (const files::Tensor& tensor : *tensors) {
      CHECK(tensor.bytes.empty() ||
            (tensor.bytes.data() >= bytes.data() &&
             tensor.bytes.data() + tensor.bytes.size() <= bytes.data() + size));
    }
  } else {
    CHECK(!tensors.status().message().empty());
  }
  const auto settings = files::ReadJson({reinterpret_cast<const char*>(data), size}, 1000);
  if (!settings.ok()) return 0;
  for (const auto& [key, value] : *settings) {
    CHECK(!value.ToText().empty());
    (void)value.Numbers(100);
    (void)value.Texts(100);
  }
  return 0;
}
