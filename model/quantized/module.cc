#include "model/quantized/module.h"

#include <algorithm>
#include <array>
#include <numeric>

#include "kernels/encodings/encoding.h"
#include "model/files/little_endian.h"
#include "model/files/quote.h"

namespace bramble::model::quantized {
namespace {

constexpr std::uint32_t kLeastGroup = 32;

}  // namespace

std::string Module::Place() const { return "the quantized matrix " + files::Quote(name_); }

const files::Tensor* Module::Find(std::string_view suffix) const {
  return tensors_.Find(name_ + "." + std::string(suffix));
}

Status Module::CheckType(const files::Tensor& tensor,
                         std::initializer_list<std::string_view> types) const {
  if (std::find(types.begin(), types.end(), tensor.type) != types.end()) return {};
  std::string known;
  for (const std::string_view type : types)
    known += (known.empty() ? "" : " or ") + std::string(type);
  return Wrong("tensor ", files::Quote(tensor.name), " is stored as ", tensor.type, ", must be ",
               known);
}

Result<const files::Tensor*> Module::Need(std::string_view suffix,
                                          std::initializer_list<std::string_view> types,
                                          std::size_t dimensions) const {
  const files::Tensor* tensor = Find(suffix);
  if (tensor == nullptr)
    return Wrong("tensor ", files::Quote(name_ + "." + std::string(suffix)), " is missing");
  RETURN_IF_ERROR(CheckType(*tensor, types));
  if (tensor->shape.size() != dimensions) {
    return Wrong("tensor ", files::Quote(tensor->name), " has the shape ",
                 files::ShapeText(tensor->shape), ", must have ", dimensions, " dimensions");
  }
  for (const std::uint64_t size : tensor->shape) {
    if (size >= 1 && size <= kMostSide) continue;
    return Wrong("tensor ", files::Quote(tensor->name), " has the shape ",
                 files::ShapeText(tensor->shape), ", each dimension must be 1 to ", kMostSide);
  }
  return tensor;
}

Result<const files::Tensor*> Module::Need(std::string_view suffix,
                                          std::initializer_list<std::string_view> types,
                                          std::initializer_list<std::uint64_t> shape) const {
  ASSIGN_OR_RETURN(const files::Tensor* tensor, Need(suffix, types, shape.size()));
  const std::vector<std::uint64_t> needed(shape);
  if (tensor->shape == needed) return tensor;
  return Wrong("tensor ", files::Quote(tensor->name), " has the shape ",
               files::ShapeText(tensor->shape), ", must have ", files::ShapeText(needed));
}

std::string Module::Text(std::string_view key) const {
  const auto* value = files::FindValue(metadata_, "quantization_config." + std::string(key));
  const auto text = value == nullptr ? std::nullopt : value->Text();
  return std::string(text.value_or(""));
}

std::optional<std::int64_t> Module::Whole(std::string_view key) const {
  const auto* value = files::FindValue(metadata_, "quantization_config." + std::string(key));
  return value == nullptr ? std::nullopt : value->Whole();
}

float FloatAt(const files::Tensor& tensor, std::size_t at) {
  const auto& info = *kernels::FindEncoding(static_cast<kernels::Encoding>(tensor.encoding));
  float value = 0;
  info.decode(tensor.bytes.data() + at * info.block_bytes, 1, &value);
  return value;
}

std::int32_t WholeAt(const files::Tensor& tensor, std::size_t at) {
  if (tensor.type == "I16") return files::Load<std::int16_t>(tensor.bytes.data() + 2 * at);
  return files::Load<std::int32_t>(tensor.bytes.data() + 4 * at);
}

Result<GroupOrder> OrderByGroup(const Module& module,
                                std::span<const std::uint32_t> group_of_column,
                                std::uint32_t groups) {
  const auto inputs = static_cast<std::uint32_t>(group_of_column.size());
  GroupOrder order;
  std::vector<std::uint32_t> next(groups + 1);  // first how many, then where the next one stands
  for (const std::uint32_t group : group_of_column) ++next[group + 1];
  for (std::uint32_t group = 0; group < groups; ++group) {
    const std::uint32_t count = next[group + 1];
    order.least = std::gcd(order.least, count);
    if (count % kLeastGroup != 0) {
      return module.NotRead("group ", group, " has ", count, " columns, and only multiples of ",
                            kLeastGroup, " can be read");
    }
    next[group + 1] += next[group];
    order.group_of.insert(order.group_of.end(), count / kLeastGroup, group);
  }
  order.places.resize(inputs);
  order.columns.resize(inputs);
  for (std::uint32_t column = 0; column < inputs; ++column) {
    const std::uint32_t place = next[group_of_column[column]]++;
    order.places[column] = place;
    order.columns[place] = column;
  }
  if (std::is_sorted(order.columns.begin(), order.columns.end())) order.columns.clear();
  return order;
}

}  // namespace bramble::model::quantized
