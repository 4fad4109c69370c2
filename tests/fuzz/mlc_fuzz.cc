// What says where MLC's tensors lie, and LitGPT's settings, as they come from a stranger.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "common/check.h"
#include "model/files/litgpt_folder.h"
#include "model/files/mlc_folder.h"

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace bramble::model;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto shards = files::ReadMlcCache(text);
  if (!shards.ok()) CHECK(!shards.status().message().empty());
  const auto settings = files::ReadFlatYaml(text);
  if (!settings.ok()) return 0;
  for (const auto& [key, value] : *settings) CHECK(!key.empty() && !value.ToText().empty());
  return 0;
}
