// compressed-tensors, "pack-quantized" (https://github.com/vllm-project/compressed-tensors):
// integers packed along the inputs, with a scale for each group.
//
// `weight_packed` [outputs, inputs * bits / 32] int32: value + 2^(bits-1), lowest bits first;
// `weight_scale` [outputs, groups]; `weight_shape` [2]: outputs, inputs; where zeros are not in the
// middle `weight_zero_point` [outputs * bits / 32, groups], packed along the outputs with the same
// shift; with act-order `weight_g_idx` [inputs].
#include "model/files/little_endian.h"
#include "model/quantized/layouts.h"

namespace bramble::model::quantized {
namespace {

class PackedMatrix final : public Matrix {
 public:
  PackedMatrix(std::uint32_t outputs, std::uint32_t inputs, std::uint32_t bits,
               const files::Tensor* weight, const files::Tensor* scales, const files::Tensor* zeros,
               GroupOrder order)
      : Matrix(outputs, inputs),
        bits_(bits),
        weight_(weight),
        scales_(scales),
        zeros_(zeros),
        order_(std::move(order)) {
    Uses(weight);
    Uses(scales);
    if (zeros != nullptr) Uses(zeros);
    AddPart(IntegerEncoding(bits, order_.least), 0, inputs);
    SetPermutation(order_.columns);
  }
  using Matrix::Uses;

 protected:
  void Read(std::uint32_t first, std::uint32_t count, std::uint8_t* codes,
            Shared* shared) const override {
    const std::size_t groups = scales_->shape[1];
    for (std::uint32_t o = 0; o < count; ++o, codes += inputs()) {
      const std::byte* row = weight_->bytes.data() + (first + o) * weight_->shape[1] * 4;
      for (std::uint32_t i = 0; i < inputs(); ++i) {
        codes[order_.places[i]] = static_cast<std::uint8_t>(StreamValue(row, 1, bits_, i));
      }
      for (const std::uint32_t group : order_.group_of) {
        shared->scale = FloatAt(*scales_, (first + o) * groups + group);
        shared->zero = static_cast<std::int32_t>(
            zeros_ == nullptr ? 1U << (bits_ - 1)
                              : StreamValue(zeros_->bytes.data() + std::size_t{group} * 4, groups,
                                            bits_, first + o));
        ++shared;
      }
    }
  }

 private:
  std::uint32_t bits_;
  const files::Tensor* weight_;
  const files::Tensor* scales_;
  const files::Tensor* zeros_;
  GroupOrder order_;
};

Result<GroupOrder> ReadOrder(const Module& module, std::uint32_t inputs, std::uint32_t groups,
                             const files::Tensor* index) {
  if (inputs % groups != 0) {
    return module.Wrong(inputs, " inputs are not ", groups, " equal groups");
  }
  std::vector<std::uint32_t> group_of(inputs);
  for (std::uint32_t i = 0; i < inputs; ++i) {
    group_of[i] = i / (inputs / groups);
    if (index == nullptr) continue;
    const std::int32_t group = WholeAt(*index, i);
    if (group < 0 || static_cast<std::uint32_t>(group) >= groups) {
      return module.Wrong("weight_g_idx names group ", group, ", there are ", groups);
    }
    group_of[i] = static_cast<std::uint32_t>(group);
  }
  return OrderByGroup(module, group_of, groups);
}

}  // namespace

bool HasPacked(const Module& module) { return module.Find("weight_packed") != nullptr; }

Result<std::unique_ptr<Matrix>> OpenPacked(const Module& module) {
  ASSIGN_OR_RETURN(const files::Tensor* weight, module.Need("weight_packed", {"I32"}, 2));
  ASSIGN_OR_RETURN(const files::Tensor* scales,
                   module.Need("weight_scale", {"F16", "BF16", "F32"}, 2));
  ASSIGN_OR_RETURN(const files::Tensor* shape, module.Need("weight_shape", {"I64"}, {2}));
  const auto outputs = files::Load<std::uint64_t>(shape->bytes.data());
  const auto inputs = files::Load<std::uint64_t>(shape->bytes.data() + 8);
  const std::uint64_t words = weight->shape[1];
  if (outputs != weight->shape[0] || outputs != scales->shape[0] || inputs == 0 ||
      inputs > kMostSide) {
    return module.Wrong("weight_shape says [", outputs, ", ", inputs, "], weight_packed has ",
                        weight->shape[0], " rows and weight_scale ", scales->shape[0]);
  }
  const std::uint64_t bits = words * 32 / inputs;
  if ((bits != 4 && bits != 8) || words * 32 != inputs * bits) {
    return module.NotRead(words, " words for ", inputs, " inputs: only 4 and 8 bits can be read");
  }
  const std::uint64_t groups = scales->shape[1];
  const files::Tensor* zeros = nullptr;
  if (module.Find("weight_zero_point") != nullptr) {
    if (outputs * bits % 32 != 0) return module.Wrong(outputs, " zeros do not fill whole words");
    ASSIGN_OR_RETURN(zeros,
                     module.Need("weight_zero_point", {"I32"}, {outputs * bits / 32, groups}));
  }
  const files::Tensor* index = nullptr;
  if (module.Find("weight_g_idx") != nullptr) {
    ASSIGN_OR_RETURN(index, module.Need("weight_g_idx", {"I32"}, {inputs}));
  }
  ASSIGN_OR_RETURN(GroupOrder order, ReadOrder(module, static_cast<std::uint32_t>(inputs),
                                               static_cast<std::uint32_t>(groups), index));
  auto matrix = std::make_unique<PackedMatrix>(
      static_cast<std::uint32_t>(outputs), static_cast<std::uint32_t>(inputs),
      static_cast<std::uint32_t>(bits), weight, scales, zeros, std::move(order));
  matrix->Uses(shape);
  if (index != nullptr) matrix->Uses(index);
  return std::unique_ptr<Matrix>(std::move(matrix));
}

}  // namespace bramble::model::quantized
