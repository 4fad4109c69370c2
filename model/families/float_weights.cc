#include "model/families/float_weights.h"

#include <cmath>
#include <string>

#include "kernels/encodings/encoding.h"
#include "model/files/quote.h"

namespace bramble::model::families {
namespace {

bool IsFloat(v1::Encoding encoding) {
  return encoding == v1::ENCODING_F32 || encoding == v1::ENCODING_F16 ||
         encoding == v1::ENCODING_BF16;
}

std::vector<std::uint64_t> WithoutOnes(const std::vector<std::uint64_t>& shape) {
  std::vector<std::uint64_t> rest;
  for (const std::uint64_t n : shape) {
    if (n != 1) rest.push_back(n);
  }
  return rest;
}

// The shape of what is made.
std::vector<std::uint64_t> ShapeOf(std::uint32_t rows, std::uint32_t columns, Made made) {
  if (made == Made::kTokenShift) return {2, columns};
  if (columns == 0) return {rows};
  if (made == Made::kTransposed) return {columns, rows};
  return {rows, columns};
}

}  // namespace

WeightRef Weights::Floats(std::string_view name, std::uint32_t rows, std::uint32_t columns,
                          Made made) {
  const std::string key = std::string(name) + " made " + std::to_string(static_cast<int>(made)) +
                          (columns == 0 ? " vector" : "");
  if (const auto known = known_.find(key); known != known_.end()) return known->second;
  const files::Tensor* tensor = Find(name);
  if (tensor == nullptr) return 0;
  std::vector<std::uint64_t> needed = {rows};
  if (columns > 0) needed.push_back(columns);
  if (WithoutOnes(tensor->shape) != WithoutOnes(needed)) {
    Refuse(Invalid("tensor ", files::Quote(name), " has the shape ",
                   files::ShapeText(tensor->shape), ", and the model's description needs ",
                   files::ShapeText(needed)));
    return 0;
  }
  if (!IsFloat(tensor->encoding)) {
    Refuse(Invalid("tensor ", files::Quote(name), " is stored as ", tensor->type,
                   ", and must be float here"));
    return 0;
  }
  v1::Weight weight;
  weight.set_name(tensor->name);
  weight.set_encoding(v1::ENCODING_F32);
  for (const std::uint64_t n : ShapeOf(rows, columns, made)) weight.add_shape(n);
  Recipe recipe;
  recipe.tensor = tensor;
  recipe.rows = {0, rows, rows};
  recipe.made = made;
  return Keep(key, std::move(weight), recipe);
}

std::vector<float> MakeFloats(const Weights::Recipe& recipe) {
  const files::Tensor& tensor = *recipe.tensor;
  const auto* info = kernels::FindEncoding(static_cast<kernels::Encoding>(tensor.encoding));
  const std::size_t count = tensor.bytes.size() / info->block_bytes;
  std::vector<float> values(count);
  info->decode(tensor.bytes.data(), count, values.data());
  const std::size_t rows = recipe.rows.total;
  const std::size_t columns = count / rows;
  std::vector<float> made(values.size());
  switch (recipe.made) {
    case Made::kTransposed:
      for (std::size_t i = 0; i < count; ++i) made[i % columns * rows + i / columns] = values[i];
      return made;
    case Made::kNegatedExp:
      // In double, and rounded once: not worth an own definition, the result has a hash.
      for (std::size_t i = 0; i < count; ++i) {
        made[i] = static_cast<float>(-std::exp(static_cast<double>(values[i])));
      }
      return made;
    case Made::kTokenShift:
      made.resize(2 * count);
      for (std::size_t i = 0; i < count; ++i) {
        made[i] = 1.0F - values[i];
        made[count + i] = values[i];
      }
      return made;
    default:
      return values;
  }
}

}  // namespace bramble::model::families
