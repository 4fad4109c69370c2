#include "proto/program/weights.h"

#include "common/check.h"

namespace bramble::program {

const kernels::EncodingInfo* FindEncoding(v1::Encoding encoding) {
  // kernels::Encoding has eight bits: a larger number must not wrap onto a known one.
  if (encoding <= 0 || encoding > 255) return nullptr;
  return kernels::FindEncoding(static_cast<kernels::Encoding>(encoding));
}

std::uint64_t WeightRowBytes(const v1::Weight& weight) {
  const kernels::EncodingInfo* info = FindEncoding(weight.encoding());
  CHECK(info != nullptr && weight.shape_size() > 0);
  return weight.shape(weight.shape_size() - 1) / info->block_values * info->block_bytes;
}

std::uint64_t WeightRows(const v1::Weight& weight) {
  std::uint64_t rows = 1;
  for (int i = 0; i + 1 < weight.shape_size(); ++i) rows *= weight.shape(i);
  return rows;
}

std::uint64_t WeightBytes(const v1::Weight& weight) {
  return WeightRows(weight) * WeightRowBytes(weight);
}

std::string ShapeText(const v1::Weight& weight) {
  std::string text = "[";
  for (const std::uint64_t n : weight.shape()) {
    if (text.size() > 1) text += ", ";
    text += std::to_string(n);
  }
  return text + "]";
}

std::string Printable(std::string_view name, std::string_view kind, std::size_t index) {
  constexpr std::size_t kShown = 64;
  if (name.empty()) return std::string(kind) + " " + std::to_string(index);
  std::string text;
  for (const char c : name.substr(0, kShown)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte != 0x7f) {
      text += c;
      continue;
    }
    constexpr char kDigits[] = "0123456789abcdef";
    text += "\\x";
    text += kDigits[byte >> 4U];
    text += kDigits[byte & 15U];
  }
  if (name.size() > kShown) text += "...";
  return text;
}

}  // namespace bramble::program
