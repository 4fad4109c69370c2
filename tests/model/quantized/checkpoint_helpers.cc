#include "tests/model/quantized/checkpoint_helpers.h"

#include <algorithm>
#include <utility>

#include "common/check.h"
#include "kernels/convert.h"
#include "kernels/encodings/encoding.h"
#include "model/quantized/table.h"

namespace bramble::model::quantized {

void Checkpoint::Add(std::string_view suffix, std::string_view type,
                     std::vector<std::uint64_t> shape, std::string bytes) {
  entries_.push_back({std::string(suffix), type, std::move(shape), std::move(bytes)});
}

void Checkpoint::Say(std::string_view key, std::string_view value) {
  metadata_["quantization_config." + std::string(key)] = files::MetaValue{std::string(value)};
}

void Checkpoint::Say(std::string_view key, std::int64_t value) {
  metadata_["quantization_config." + std::string(key)] = files::MetaValue{value};
}

Checkpoint::Entry& Checkpoint::Find(std::string_view suffix) {
  const auto found = std::find_if(entries_.begin(), entries_.end(),
                                  [&](const Entry& entry) { return entry.suffix == suffix; });
  CHECK(found != entries_.end());
  return *found;
}

void Checkpoint::Drop(std::string_view suffix) {
  std::erase_if(entries_, [&](const Entry& entry) { return entry.suffix == suffix; });
}

void Checkpoint::Reshape(std::string_view suffix, std::vector<std::uint64_t> shape) {
  Find(suffix).shape = std::move(shape);
}

std::string& Checkpoint::Bytes(std::string_view suffix) { return Find(suffix).bytes; }

Result<std::unique_ptr<Matrix>> Checkpoint::Open() {
  files::TensorIndex& index = indices_.emplace_back();
  for (const Entry& entry : entries_) {
    v1::Encoding encoding = v1::ENCODING_UNSPECIFIED;
    if (entry.type == "F32") encoding = v1::ENCODING_F32;
    if (entry.type == "F16") encoding = v1::ENCODING_F16;
    if (entry.type == "BF16") encoding = v1::ENCODING_BF16;
    CHECK(index
              .Add({"m." + entry.suffix, encoding, entry.type, entry.shape,
                    std::as_bytes(std::span(entry.bytes))})
              .ok());
  }
  CHECK(index.Seal().ok());
  const Module module(index, metadata_, "m");
  const Layout* layout = FindLayout(module);
  if (layout == nullptr) return NotFound("no layout");
  return layout->open(module);
}

std::vector<std::uint32_t> Stream(std::span<const std::uint32_t> values, std::uint32_t bits) {
  std::vector<std::uint32_t> words((values.size() * bits + 31) / 32);
  for (std::size_t i = 0; i < values.size() * bits; ++i) {
    words[i / 32] |= (values[i / bits] >> (i % bits) & 1U) << (i % 32);
  }
  return words;
}

std::vector<float> ValuesOf(const Matrix& matrix) {
  std::vector<float> values(std::size_t{matrix.outputs()} * matrix.inputs());
  for (const Part& part : matrix.parts()) {
    const auto& info = *kernels::FindEncoding(static_cast<kernels::Encoding>(part.encoding));
    const std::size_t row_bytes = part.count / info.block_values * info.block_bytes;
    std::vector<std::byte> blocks(matrix.outputs() * row_bytes);
    // In two pieces, neither of which is a whole tile.
    const std::uint32_t half = matrix.outputs() / 2 + 1;
    matrix.Write(part, 0, half, blocks.data());
    matrix.Write(part, half, matrix.outputs() - half, blocks.data() + half * row_bytes);
    std::vector<float> row(part.count);
    for (std::size_t o = 0; o < matrix.outputs(); ++o) {
      info.decode(blocks.data() + o * row_bytes, part.count / info.block_values, row.data());
      for (std::uint32_t i = 0; i < part.count; ++i) {
        const std::uint32_t place = part.first + i;
        const std::uint32_t input =
            matrix.permutation().empty() ? place : matrix.permutation()[place];
        values[o * matrix.inputs() + input] = row[i];
      }
    }
  }
  return values;
}

std::vector<std::uint32_t> RandomWholes(Random* random, std::size_t count, std::uint32_t below) {
  std::vector<std::uint32_t> values(count);
  for (std::uint32_t& value : values) value = static_cast<std::uint32_t>((*random)()) % below;
  return values;
}

std::vector<float> RandomScales(Random* random, std::size_t count) {
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>((*random)() % 2047 + 1) * 0x1p-14F;
  return values;
}

std::vector<std::uint16_t> Halves(const std::vector<float>& values) {
  std::vector<std::uint16_t> halves;
  halves.reserve(values.size());
  for (const float value : values) halves.push_back(kernels::FloatToHalf(value));
  return halves;
}

}  // namespace bramble::model::quantized
