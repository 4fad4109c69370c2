// Weights that stand in a checkpoint as quantized matrices: model/quantized/ reads them.
#include <algorithm>
#include <utility>

#include "kernels/encodings/encoding.h"
#include "model/families/weights.h"
#include "model/files/quote.h"
#include "model/quantized/table.h"

namespace bramble::model::families {
namespace {

constexpr std::string_view kSuffix = ".weight";

// "layers.0.q_proj.weight" without its end; empty: another end.
std::string_view ModuleOf(std::string_view name) {
  return name.ends_with(kSuffix) ? name.substr(0, name.size() - kSuffix.size()) : "";
}

bool IsPlain(const files::Tensor* tensor) {
  return tensor != nullptr && tensor->encoding != v1::ENCODING_UNSPECIFIED;
}

}  // namespace

bool Weights::Has(std::string_view name) const {
  if (tensors_.Find(name) != nullptr) return true;
  const std::string_view module = ModuleOf(name);
  return !module.empty() && quantized::FindLayout({tensors_, metadata_, std::string(module)});
}

std::shared_ptr<const quantized::Matrix> Weights::FindQuantized(std::string_view name) {
  const std::string_view module_name = ModuleOf(name);
  if (module_name.empty() || IsPlain(tensors_.Find(name))) return nullptr;
  if (const auto known = quantized_.find(name); known != quantized_.end()) return known->second;
  std::shared_ptr<const quantized::Matrix> matrix;
  const quantized::Module module(tensors_, metadata_, std::string(module_name));
  if (const quantized::Layout* layout = quantized::FindLayout(module)) {
    auto opened = layout->open(module);
    if (opened.ok()) {
      matrix = *std::move(opened);
      for (const files::Tensor* tensor : matrix->tensors()) Use(tensor);
    } else {
      Refuse(opened.status());
    }
  }
  quantized_.emplace(name, matrix);
  return matrix;
}

std::optional<WeightRef> Weights::Permutation(
    const std::shared_ptr<const quantized::Matrix>& matrix) {
  if (matrix->permutation().empty()) return {};
  const auto known = permutations_.find(matrix->permutation());
  if (known != permutations_.end()) return known->second;
  Recipe recipe{matrix->tensors().front(), Recipe::Kind::kPermutation, AllRows(1)};
  recipe.quantized = matrix;
  v1::Weight weight;
  weight.set_name(matrix->tensors().front()->name + " columns");
  weight.set_encoding(v1::ENCODING_F32);
  weight.add_shape(matrix->inputs());
  const WeightRef ref = Keep(weight.name(), weight, recipe);
  permutations_.emplace(matrix->permutation(), ref);
  return ref;
}

WeightRef Weights::QuantizedMatrix(const std::string& key,
                                   const std::shared_ptr<const quantized::Matrix>& matrix,
                                   RowRange rows, std::uint32_t inputs) {
  const std::string& name = matrix->tensors().front()->name;
  if (matrix->inputs() != inputs || !matrix->Fits(rows.total)) {
    Refuse(Invalid("the quantized matrix of tensor ", files::Quote(name), " is [",
                   matrix->outputs(), ", ", matrix->inputs(),
                   "], and the model's description needs [", rows.total, ", ", inputs, "]"));
    return 0;
  }
  Composition composition;
  for (std::size_t i = 0; i < matrix->parts().size(); ++i) {
    const quantized::Part& part = matrix->parts()[i];
    Recipe recipe{matrix->tensors().front(), Recipe::Kind::kQuantized, rows};
    recipe.quantized = matrix;
    recipe.part = i;
    const std::string part_key = i == 0 ? key : key + " part " + std::to_string(i);
    composition.parts.push_back(KeepAs(part_key, part.encoding, {rows.count, part.count}, recipe));
  }
  composition.permutation = Permutation(matrix);
  const WeightRef first = composition.parts.front();
  if (composition.parts.size() > 1 || composition.permutation) {
    compositions_.emplace(first, std::move(composition));
  }
  return first;
}

const Composition* Weights::CompositionOf(WeightRef ref) const {
  const auto found = compositions_.find(ref);
  return found == compositions_.end() ? nullptr : &found->second;
}

void Weights::MustBeOne(WeightRef ref, std::string_view use) {
  if (CompositionOf(ref) == nullptr) return;
  Refuse(Unimplemented("the quantized matrix of tensor ", files::Quote(weights_[ref].name()),
                       " has columns out of order or of several widths, which cannot be ", use));
}

}  // namespace bramble::model::families
