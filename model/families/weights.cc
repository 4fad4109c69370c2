#include "model/families/weights.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "common/check.h"
#include "kernels/encodings/encoding.h"
#include "model/families/float_weights.h"
#include "model/files/quote.h"

namespace bramble::model::families {
namespace {

constexpr std::uint64_t kMostRows = std::uint64_t{1} << 24;
constexpr std::uint32_t kMxfp4Values = 32;

const kernels::EncodingInfo* Info(v1::Encoding encoding) {
  return kernels::FindEncoding(static_cast<kernels::Encoding>(encoding));
}

bool IsFloat(v1::Encoding encoding) {
  return encoding == v1::ENCODING_F32 || encoding == v1::ENCODING_F16 ||
         encoding == v1::ENCODING_BF16;
}

Status WrongShape(const files::Tensor& tensor, std::span<const std::uint64_t> needed) {
  return Invalid("tensor ", files::Quote(tensor.name), " has the shape ",
                 files::ShapeText(tensor.shape), ", and the model's description needs ",
                 files::ShapeText(needed));
}

std::string Text(const RowRange& rows) {
  std::string text = std::to_string(rows.first) + "+" + std::to_string(rows.count);
  if (rows.run != 0) {
    text += " by " + std::to_string(rows.run) + " of " + std::to_string(rows.stride);
  }
  return text;
}

// Calls `copy` with the first row and the number of rows of each run.
template <typename Copy>
void ForEachRun(const RowRange& rows, const Copy& copy) {
  if (rows.run == 0) return copy(rows.first, rows.count);
  for (std::uint32_t done = 0; done < rows.count; done += rows.run) {
    copy(rows.first + done / rows.run * rows.stride, rows.run);
  }
}

// The values of `tensor`, a float one, from `first` on.
std::vector<float> Decode(const files::Tensor& tensor, std::uint64_t first, std::uint64_t count) {
  const auto* info = Info(tensor.encoding);
  std::vector<float> values(count);
  info->decode(tensor.bytes.data() + first * info->block_bytes, count, values.data());
  return values;
}

void TransposeStack(const Weights::Recipe& recipe, std::vector<std::byte>* owned) {
  const files::Tensor& tensor = *recipe.tensor;
  const std::size_t element = Info(tensor.encoding)->block_bytes;
  const std::size_t inputs = tensor.bytes.size() / element / recipe.rows.total / recipe.matrices;
  owned->resize(std::size_t{recipe.matrices} * recipe.rows.count * inputs * element);
  for (std::size_t row = 0; row < recipe.matrices * inputs; ++row) {
    const std::byte* from =
        tensor.bytes.data() + (row * recipe.rows.total + recipe.rows.first) * element;
    std::byte* to =
        owned->data() + (row / inputs * recipe.rows.count * inputs + row % inputs) * element;
    for (std::size_t out = 0; out < recipe.rows.count; ++out) {
      std::memcpy(to + out * inputs * element, from + out * recipe.step * element, element);
    }
  }
}

// To blocks of an exponent and 16 bytes, of which byte i holds values i and i + 16.
void JoinMxfp4(const Weights::Recipe& recipe, std::vector<std::byte>* owned) {
  constexpr std::size_t kHalf = kMxfp4Values / 2;
  const std::size_t blocks =
      recipe.scales->bytes.size() / recipe.rows.total / recipe.matrices;  // of an output
  owned->resize(std::size_t{recipe.matrices} * recipe.rows.count * blocks * (1 + kHalf));
  std::byte* to = owned->data();
  for (std::size_t m = 0; m < recipe.matrices; ++m) {
    for (std::size_t out = 0; out < recipe.rows.count; ++out) {
      const std::size_t first =
          (m * recipe.rows.total + recipe.rows.first + out * recipe.step) * blocks;
      for (std::size_t b = first; b < first + blocks; ++b) {
        const std::byte* from = recipe.tensor->bytes.data() + b * kHalf;
        const auto value = [&](std::size_t i) {
          return (from[i / 2] >> (i % 2 * 4)) & std::byte{15};
        };
        *to++ = recipe.scales->bytes[b];
        for (std::size_t i = 0; i < kHalf; ++i) *to++ = value(i) | value(i + kHalf) << 4;
      }
    }
  }
}

// Rows of a part of a quantized matrix, or its permutation.
void MakeQuantized(const Weights::Recipe& recipe, std::vector<std::byte>* owned) {
  const quantized::Matrix& matrix = *recipe.quantized;
  if (recipe.kind == Weights::Recipe::Kind::kPermutation) {
    const std::vector<float> columns(matrix.permutation().begin(), matrix.permutation().end());
    owned->resize(columns.size() * sizeof(float));
    std::memcpy(owned->data(), columns.data(), owned->size());
    return;
  }
  const quantized::Part& part = matrix.parts()[recipe.part];
  const auto& info = *Info(part.encoding);
  const std::size_t row_bytes = std::size_t{part.count} / info.block_values * info.block_bytes;
  owned->resize(recipe.rows.count * row_bytes);
  std::byte* to = owned->data();
  ForEachRun(recipe.rows, [&](std::uint32_t first, std::uint32_t count) {
    matrix.Write(part, first, count, to);
    to += count * row_bytes;
  });
}

}  // namespace

void Weights::Refuse(Status status) {
  if (status_.ok()) status_ = std::move(status);
}

const files::Tensor* Weights::Find(std::string_view name) {
  const files::Tensor* tensor = tensors_.Find(name);
  if (tensor == nullptr) {
    Refuse(Invalid("tensor ", files::Quote(name), " is missing"));
    return nullptr;
  }
  if (Info(tensor->encoding) == nullptr) {
    Refuse(Unimplemented("tensor ", files::Quote(name), " is of the type ", tensor->type,
                         ", which cannot be a weight of this family"));
    return nullptr;
  }
  Use(tensor);
  return tensor;
}

void Weights::Use(const files::Tensor* tensor) {
  used_.resize(tensors_.all().size());
  used_[static_cast<std::size_t>(tensor - tensors_.all().data())] = true;
}

WeightRef Weights::Keep(const std::string& key, v1::Weight weight, const Recipe& recipe) {
  const auto ref = static_cast<WeightRef>(weights_.size());
  weights_.push_back(std::move(weight));
  recipes_.push_back(recipe);
  known_.emplace(key, ref);
  return ref;
}

std::uint32_t Weights::CountRows(std::string_view name, std::uint32_t inputs) {
  if (const auto quantized = FindQuantized(name)) return quantized->outputs();
  const files::Tensor* tensor = Find(name);
  if (tensor == nullptr) return 1;
  if (tensor->shape.size() != 2 || tensor->shape[1] != inputs || tensor->shape[0] == 0 ||
      tensor->shape[0] > kMostRows) {
    Refuse(Invalid("tensor ", files::Quote(name), " has the shape ",
                   files::ShapeText(tensor->shape), ", and the model's description needs [1 to ",
                   kMostRows, ", ", inputs, "]"));
    return 1;
  }
  return static_cast<std::uint32_t>(tensor->shape[0]);
}

WeightRef Weights::Matrix(std::string_view name, RowRange rows, std::uint32_t inputs,
                          Layout layout) {
  const std::string key = std::string(name) + " rows " + Text(rows);
  if (const auto known = known_.find(key); known != known_.end()) return known->second;
  if (const auto quantized = FindQuantized(name)) {
    return QuantizedMatrix(key, quantized, rows, inputs);
  }
  const files::Tensor* tensor = Find(name);
  if (tensor == nullptr) return 0;
  const bool transposed = layout == Layout::kInputsByOutputs;
  const std::uint64_t needed[] = {transposed ? inputs : rows.total,
                                  transposed ? rows.total : inputs};
  if (tensor->shape != std::vector<std::uint64_t>(std::begin(needed), std::end(needed))) {
    Refuse(WrongShape(*tensor, needed));
    return 0;
  }
  if (transposed && !IsFloat(tensor->encoding)) {
    Refuse(Unimplemented("tensor ", files::Quote(name), " is stored as [inputs, outputs] in ",
                         tensor->type, ", and only float types can be transposed"));
    return 0;
  }
  v1::Weight weight;
  weight.set_name(tensor->name);
  weight.set_encoding(tensor->encoding);
  weight.add_shape(rows.count);
  weight.add_shape(inputs);
  CHECK(!transposed || rows.run == 0);
  const Recipe::Kind kind = transposed      ? Recipe::Kind::kTransposed
                            : rows.run != 0 ? Recipe::Kind::kRuns
                                            : Recipe::Kind::kAsStored;
  return Keep(key, std::move(weight), {tensor, kind, rows, 0});
}

const files::Tensor* Weights::Find(std::string_view name, std::vector<std::uint64_t> shape) {
  const files::Tensor* tensor = Find(name);
  if (tensor == nullptr || tensor->shape == shape) return tensor;
  Refuse(WrongShape(*tensor, shape));
  return nullptr;
}

const files::Tensor* Weights::FindBytes(std::string_view name, std::vector<std::uint64_t> shape) {
  const files::Tensor* tensor = tensors_.Find(name);
  if (tensor == nullptr) {
    Refuse(Invalid("tensor ", files::Quote(name), " is missing"));
  } else if (tensor->shape != shape) {
    Refuse(WrongShape(*tensor, shape));
  } else if (tensor->type != "U8" && tensor->type != "I8") {
    Refuse(Invalid("tensor ", files::Quote(name), " is stored as ", tensor->type,
                   ", and must be bytes (U8)"));
  } else {
    Use(tensor);
    return tensor;
  }
  return nullptr;
}

WeightRef Weights::KeepAs(const std::string& key, v1::Encoding encoding,
                          std::initializer_list<std::uint64_t> shape, const Recipe& recipe) {
  v1::Weight weight;
  weight.set_name(recipe.tensor->name);
  weight.set_encoding(encoding);
  for (const std::uint64_t n : shape) weight.add_shape(n);
  return Keep(key, std::move(weight), recipe);
}

WeightRef Weights::Stack(std::string_view name, std::uint32_t matrices, std::uint32_t rows,
                         std::uint32_t inputs) {
  const std::string key = std::string(name) + " stack";
  if (const auto known = known_.find(key); known != known_.end()) return known->second;
  const files::Tensor* tensor = Find(name, {matrices, rows, inputs});
  if (tensor == nullptr) return 0;
  return KeepAs(key, tensor->encoding, {matrices, rows, inputs},
                {tensor, Recipe::Kind::kAsStored, AllRows(1)});
}

WeightRef Weights::MatrixOfStack(std::string_view name, std::uint32_t matrices,
                                 std::uint32_t matrix, RowRange rows, std::uint32_t inputs) {
  const std::string key = std::string(name) + " matrix " + std::to_string(matrix) + " rows " +
                          std::to_string(rows.first) + "+" + std::to_string(rows.count);
  if (const auto known = known_.find(key); known != known_.end()) return known->second;
  const files::Tensor* tensor = Find(name, {matrices, rows.total, inputs});
  if (tensor == nullptr) return 0;
  const std::uint64_t all = std::uint64_t{matrices} * rows.total;
  if (all > kMostRows) {
    Refuse(Invalid("tensor ", files::Quote(name), " has ", all, " rows, at most ", kMostRows,
                   " can be read"));
    return 0;
  }
  const RowRange range{matrix * rows.total + rows.first, rows.count,
                       static_cast<std::uint32_t>(all)};
  return KeepAs(key, tensor->encoding, {rows.count, inputs},
                {tensor, Recipe::Kind::kAsStored, range});
}

WeightRef Weights::TransposedStack(std::string_view name, std::uint32_t matrices,
                                   std::uint32_t inputs, RowRange outputs, std::uint32_t step) {
  const std::string key = std::string(name) + " transposed " + std::to_string(outputs.first) + "+" +
                          std::to_string(outputs.count);
  if (const auto known = known_.find(key); known != known_.end()) return known->second;
  const files::Tensor* tensor = Find(name, {matrices, inputs, outputs.total});
  if (tensor == nullptr) return 0;
  if (!IsFloat(tensor->encoding)) {
    Refuse(Unimplemented("tensor ", files::Quote(name), " is stored as [inputs, outputs] in ",
                         tensor->type, ", and only float types can be transposed"));
    return 0;
  }
  Recipe recipe{tensor, Recipe::Kind::kTransposedStack, outputs};
  recipe.step = step;
  recipe.matrices = matrices;
  return KeepAs(key, tensor->encoding, {matrices, outputs.count, inputs}, recipe);
}

WeightRef Weights::Mxfp4Stack(std::string_view blocks, std::string_view scales,
                              std::uint32_t matrices, std::uint32_t inputs, RowRange outputs,
                              std::uint32_t step) {
  const std::string key = std::string(blocks) + " mxfp4 " + std::to_string(outputs.first) + "+" +
                          std::to_string(outputs.count);
  if (const auto known = known_.find(key); known != known_.end()) return known->second;
  if (inputs % kMxfp4Values != 0) {
    Refuse(Invalid("tensor ", files::Quote(blocks), ": ", inputs, " inputs are not blocks of ",
                   kMxfp4Values));
    return 0;
  }
  const std::uint64_t count = inputs / kMxfp4Values;
  Recipe recipe{FindBytes(blocks, {matrices, outputs.total, count, kMxfp4Values / 2}),
                Recipe::Kind::kMxfp4, outputs};
  recipe.scales = FindBytes(scales, {matrices, outputs.total, count});
  if (recipe.tensor == nullptr || recipe.scales == nullptr) return 0;
  recipe.step = step;
  recipe.matrices = matrices;
  return KeepAs(key, v1::ENCODING_MXFP4, {matrices, outputs.count, inputs}, recipe);
}

WeightRef Weights::RowMatrix(std::string_view name, std::uint32_t width) {
  const std::string key = std::string(name) + " as a row";
  if (const auto known = known_.find(key); known != known_.end()) return known->second;
  const files::Tensor* tensor = Find(name, {width});
  if (tensor == nullptr) return 0;
  return KeepAs(key, tensor->encoding, {1, width}, {tensor, Recipe::Kind::kAsStored, AllRows(1)});
}

WeightRef Weights::Table(std::string_view name, std::uint32_t rows, RowRange columns,
                         std::uint32_t step) {
  const std::string key = std::string(name) + " table " + std::to_string(columns.first) + "+" +
                          std::to_string(columns.count);
  if (const auto known = known_.find(key); known != known_.end()) return known->second;
  const files::Tensor* tensor = Find(name, {rows, columns.total});
  if (tensor == nullptr) return 0;
  const std::uint64_t all = std::uint64_t{rows} * columns.total;
  if (!IsFloat(tensor->encoding) || all > kMostRows) {
    Refuse(Invalid("tensor ", files::Quote(name), " is stored as ", tensor->type, " ",
                   files::ShapeText(tensor->shape), ", and must be float, of at most ", kMostRows,
                   " values"));
    return 0;
  }
  Recipe recipe{tensor, Recipe::Kind::kWidened,
                RowRange{columns.first, rows * columns.count, static_cast<std::uint32_t>(all)}};
  recipe.step = step;
  return KeepAs(key, v1::ENCODING_F32, {rows, columns.count}, recipe);
}

WeightRef Weights::Vector(std::string_view name, RowRange range, float added) {
  const std::uint64_t shape[] = {range.total};
  return Numbers(name, shape, range, added);
}

WeightRef Weights::Flattened(std::string_view name, std::uint32_t rows, std::uint32_t columns) {
  const std::uint64_t shape[] = {rows, columns};
  return Numbers(name, shape, AllRows(rows * columns), 0);
}

WeightRef Weights::Numbers(std::string_view name, std::span<const std::uint64_t> shape,
                           RowRange range, float added) {
  const std::string key =
      std::string(name) + " values " + Text(range) + " added " + std::to_string(added);
  if (const auto known = known_.find(key); known != known_.end()) return known->second;
  const files::Tensor* tensor = Find(name);
  if (tensor == nullptr) return 0;
  if (!std::equal(tensor->shape.begin(), tensor->shape.end(), shape.begin(), shape.end())) {
    Refuse(WrongShape(*tensor, shape));
    return 0;
  }
  if (!IsFloat(tensor->encoding)) {
    Refuse(Invalid("tensor ", files::Quote(name), " is stored as ", tensor->type,
                   ", and norms and biases must be float"));
    return 0;
  }
  v1::Weight weight;
  weight.set_name(tensor->name);
  weight.set_encoding(v1::ENCODING_F32);
  weight.add_shape(range.count);
  const bool as_stored = tensor->encoding == v1::ENCODING_F32 && added == 0 && range.run == 0;
  return Keep(key, std::move(weight),
              {tensor, as_stored ? Recipe::Kind::kAsStored : Recipe::Kind::kWidened, range, added});
}

WeightRef Weights::Constant(std::string_view name, const std::vector<float>& values,
                            std::size_t rows) {
  const std::string key = "constant " + std::string(name);
  if (const auto known = known_.find(key); known != known_.end()) return known->second;
  v1::Weight weight;
  weight.set_name(std::string(name));
  weight.set_encoding(v1::ENCODING_F32);
  if (rows > 1) weight.add_shape(rows);
  weight.add_shape(values.size() / rows);
  weight.set_data(values.data(), values.size() * sizeof(float));
  return Keep(key, std::move(weight), {});
}

std::vector<float> Weights::Read(std::string_view name, std::uint32_t size) {
  const files::Tensor* tensor = Find(name);
  if (tensor == nullptr) return std::vector<float>(size, 1.0f);
  const std::uint64_t needed[] = {size};
  if (tensor->shape != std::vector<std::uint64_t>{size} || !IsFloat(tensor->encoding)) {
    Refuse(WrongShape(*tensor, needed));
    return std::vector<float>(size, 1.0f);
  }
  return Decode(*tensor, 0, size);
}

v1::Encoding Weights::EncodingOf(WeightRef ref) const {
  return ref < weights_.size() ? weights_[ref].encoding() : v1::ENCODING_F32;
}

std::uint32_t Weights::Rows(WeightRef ref) const {
  return ref < weights_.size() ? static_cast<std::uint32_t>(weights_[ref].shape(0)) : 1;
}

std::uint32_t Weights::Columns(WeightRef ref) const {
  if (ref >= weights_.size() || weights_[ref].shape_size() < 2) return 1;
  return static_cast<std::uint32_t>(weights_[ref].shape(weights_[ref].shape_size() - 1));
}

std::vector<std::string> Weights::Unused() const {
  std::vector<std::string> names;
  const auto& tensors = tensors_.all();
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    if (i >= used_.size() || !used_[i]) names.push_back(tensors[i].name);
  }
  return names;
}

std::span<const std::byte> MakeBytes(const Weights::Recipe& recipe, std::vector<std::byte>* owned) {
  const files::Tensor& tensor = *recipe.tensor;
  if (recipe.quantized != nullptr) {
    MakeQuantized(recipe, owned);
    return *owned;
  }
  if (recipe.made != Made::kNot) {
    const std::vector<float> values = MakeFloats(recipe);
    owned->resize(values.size() * sizeof(float));
    std::memcpy(owned->data(), values.data(), owned->size());
    return *owned;
  }
  const RowRange& rows = recipe.rows;
  if (recipe.kind == Weights::Recipe::Kind::kTransposedStack) {
    TransposeStack(recipe, owned);
    return *owned;
  }
  if (recipe.kind == Weights::Recipe::Kind::kMxfp4) {
    JoinMxfp4(recipe, owned);
    return *owned;
  }
  const std::size_t size =
      tensor.bytes.size() / rows.total;  // of one row; transposed: of one column
  if (recipe.kind == Weights::Recipe::Kind::kAsStored) {
    return tensor.bytes.subspan(rows.first * size, rows.count * size);
  }
  if (recipe.kind == Weights::Recipe::Kind::kRuns) {
    owned->reserve(rows.count * size);
    ForEachRun(rows, [&](std::uint32_t first, std::uint32_t count) {
      const auto run = tensor.bytes.subspan(first * size, count * size);
      owned->insert(owned->end(), run.begin(), run.end());
    });
    return *owned;
  }
  if (recipe.kind == Weights::Recipe::Kind::kWidened) {
    std::vector<float> values;
    if (recipe.step == 1) {
      values.reserve(rows.count);
      ForEachRun(rows, [&](std::uint32_t first, std::uint32_t count) {
        for (const float value : Decode(tensor, first, count))
          values.push_back(value + recipe.added);
      });
    } else {
      const std::vector<float> all = Decode(tensor, 0, rows.total);
      for (std::size_t i = rows.first; values.size() < rows.count; i += recipe.step) {
        values.push_back(all[i] + recipe.added);
      }
    }
    owned->resize(values.size() * sizeof(float));
    std::memcpy(owned->data(), values.data(), owned->size());
    return *owned;
  }
  const std::size_t element = Info(tensor.encoding)->block_bytes;
  const std::size_t inputs = size / element;
  owned->resize(rows.count * size);
  for (std::size_t in = 0; in < inputs; ++in) {
    const std::byte* from = tensor.bytes.data() + (in * rows.total + rows.first) * element;
    for (std::size_t out = 0; out < rows.count; ++out) {
      std::memcpy(owned->data() + (out * inputs + in) * element, from + out * element, element);
    }
  }
  return *owned;
}

}  // namespace bramble::model::families
