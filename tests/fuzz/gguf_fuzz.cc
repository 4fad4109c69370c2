// A GGUF file as it comes from a stranger: whatever the bytes are, the reader answers, and what it
// lets through can be compiled and described without a fault.
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "common/check.h"
#include "model/codec.h"
#include "model/families/compile.h"
#include "model/files/gguf.h"

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace bramble;
  using namespace bramble::model;
  auto part = files::ReadGguf(std::as_bytes(std::span(data, size)));
  if (!part.ok()) {
    CHECK(!part.status().message().empty());
    return 0;
  }
  files::ModelFiles files;
  files.metadata = std::move(part->metadata);
  for (files::Tensor& tensor : part->tensors) {
    if (!files.tensors.Add(std::move(tensor)).ok()) return 0;
  }
  if (!files.tensors.Seal().ok()) return 0;
  const auto vocabulary = ReadGgufVocabulary(files.metadata);
  CHECK(vocabulary.ok() || !vocabulary.status().message().empty());
  const auto compiled = families::Compile(files, CompileOptions());
  if (!compiled.ok()) return 0;
  for (const families::Weights::Recipe& recipe : compiled->recipes) {
    if (recipe.tensor == nullptr) continue;
    std::vector<std::byte> owned;
    CHECK(!families::MakeBytes(recipe, &owned).empty());
  }
  return 0;
}
