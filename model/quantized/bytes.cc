// Matrices [outputs, inputs] of bytes with scales beside them:
//
// LLM.int8 (bitsandbytes): `weight` int8, `SCB` F32 [outputs]: value * SCB / 127. Which activations
// it would treat apart as outliers is decided while it runs, and not stored.
// compressed-tensors: `weight` int8 or E4M3, `weight_scale` [outputs, 1], [1] or no dimension.
// FP8 as DeepSeek keeps it: `weight` E4M3, `weight_scale_inv` [outputs / 128, inputs / 128],
// rounded up; a factor despite its name.
#include <algorithm>
#include <optional>

#include "model/quantized/layouts.h"

namespace bramble::model::quantized {
namespace {

constexpr std::uint32_t kLeastInputs = 32;

// Scale [output / rows, input / columns] of a tensor of that many columns.
struct Scales {
  const files::Tensor* tensor = nullptr;
  std::uint32_t rows = 1;
  std::uint32_t columns = 1;
  std::uint32_t width = 1;
  float divisor = 1;
};

class ByteMatrix final : public Matrix {
 public:
  ByteMatrix(std::uint32_t outputs, std::uint32_t inputs, const files::Tensor* weight,
             const Scales& scales)
      : Matrix(outputs, inputs), weight_(weight), scales_(scales), signed_(weight->type == "I8") {
    Uses(weight);
    Uses(scales.tensor);
    AddPart(signed_ ? v1::ENCODING_INT8 : v1::ENCODING_F8_E4M3, 0, inputs);
  }
  using Matrix::Uses;

 protected:
  void Read(std::uint32_t first, std::uint32_t count, std::uint8_t* codes,
            Shared* shared) const override {
    for (std::uint32_t o = first; o < first + count; ++o) {
      const std::byte* row = weight_->bytes.data() + std::size_t{o} * inputs();
      for (std::uint32_t i = 0; i < inputs(); ++i) {
        const auto byte = std::to_integer<std::uint8_t>(row[i]);
        *codes++ = signed_ ? byte ^ 0x80U : byte;
      }
      for (std::uint32_t i = 0; i < inputs(); i += kGroup) {
        const std::size_t at = std::size_t{o / scales_.rows} * scales_.width + i / scales_.columns;
        *shared++ = {FloatAt(*scales_.tensor, at) / scales_.divisor, 128};
      }
    }
  }

 private:
  const files::Tensor* weight_;
  Scales scales_;
  bool signed_;
};

// One scale for all, one an output, or one for a block of a grid.
Result<Scales> ReadScales(const Module& module, std::string_view suffix, std::uint64_t outputs,
                          std::uint64_t inputs) {
  const files::Tensor* tensor = module.Find(suffix);
  if (tensor->type != "F32" && tensor->type != "F16" && tensor->type != "BF16") {
    return module.Wrong("its scales are stored as ", tensor->type, ", must be float");
  }
  const std::uint64_t values = tensor->values();
  const auto& shape = tensor->shape;
  Scales scales{tensor, static_cast<std::uint32_t>(outputs), static_cast<std::uint32_t>(inputs)};
  if (values == 1) return scales;
  if (values == outputs && (shape.size() == 1 || (shape.size() == 2 && shape[0] == outputs))) {
    scales.rows = 1;
    return scales;
  }
  constexpr std::uint64_t kBlock = 128;
  if (shape.size() == 2 && shape[0] == (outputs + kBlock - 1) / kBlock &&
      shape[1] == (inputs + kBlock - 1) / kBlock) {
    scales.rows = scales.columns = kBlock;
    scales.width = static_cast<std::uint32_t>(shape[1]);
    return scales;
  }
  return module.NotRead("its scales have the shape ", files::ShapeText(shape),
                        "; one, one an output, or one for each block of 128 x 128 can be read");
}

std::string_view ScaleOf(const Module& module) {
  for (const std::string_view suffix : {"SCB", "weight_scale", "weight_scale_inv"}) {
    if (module.Find(suffix) != nullptr) return suffix;
  }
  return "";
}

}  // namespace

bool HasBytes(const Module& module) {
  const files::Tensor* weight = module.Find("weight");
  return weight != nullptr && (weight->type == "I8" || weight->type == "F8_E4M3") &&
         !ScaleOf(module).empty();
}

Result<std::unique_ptr<Matrix>> OpenBytes(const Module& module) {
  ASSIGN_OR_RETURN(const files::Tensor* weight, module.Need("weight", {"I8", "F8_E4M3"}, 2));
  const std::string_view suffix = ScaleOf(module);
  const std::uint64_t outputs = weight->shape[0];
  const std::uint64_t inputs = weight->shape[1];
  if (inputs % kLeastInputs != 0) {
    return module.NotRead("rows of ", inputs, " values: only multiples of ", kLeastInputs,
                          " can be read");
  }
  const files::Tensor* format = module.Find("weight_format");
  if (suffix == "SCB" && format != nullptr &&
      std::any_of(format->bytes.begin(), format->bytes.end(),
                  [](std::byte b) { return b != std::byte{0}; })) {
    return module.NotRead("its weight_format is not 0, the one of rows");
  }
  if (module.Find("weight_zero_point") != nullptr) {
    return module.NotRead("bytes with zeros cannot be read");
  }
  ASSIGN_OR_RETURN(Scales scales, ReadScales(module, suffix, outputs, inputs));
  if (suffix == "SCB") scales.divisor = 127;
  auto matrix = std::make_unique<ByteMatrix>(static_cast<std::uint32_t>(outputs),
                                             static_cast<std::uint32_t>(inputs), weight, scales);
  if (format != nullptr) matrix->Uses(format);
  return std::unique_ptr<Matrix>(std::move(matrix));
}

}  // namespace bramble::model::quantized
