// MLC's group quantization of 4 bits, NK layout ("q4f16_1"): `q_weight` uint32 [outputs, inputs /
// 8], value j of a word in bits 4 j; `q_scale` [outputs, inputs / 32]: (code - 7) * scale.
#include "model/quantized/layouts.h"

namespace bramble::model::quantized {
namespace {

constexpr std::uint32_t kBits = 4;
constexpr std::uint32_t kSize = 32;  // of a group
constexpr std::int32_t kZero = 7;

class MlcMatrix final : public Matrix {
 public:
  MlcMatrix(std::uint32_t outputs, std::uint32_t inputs, const files::Tensor* weight,
            const files::Tensor* scales)
      : Matrix(outputs, inputs), weight_(weight), scales_(scales) {
    Uses(weight);
    Uses(scales);
    AddPart(IntegerEncoding(kBits, kSize), 0, inputs);
  }

 protected:
  void Read(std::uint32_t first, std::uint32_t count, std::uint8_t* codes,
            Shared* shared) const override {
    for (std::size_t o = first; o < std::size_t{first} + count; ++o) {
      const std::byte* row = weight_->bytes.data() + o * weight_->shape[1] * 4;
      for (std::uint32_t i = 0; i < inputs(); ++i) {
        *codes++ = static_cast<std::uint8_t>(StreamValue(row, 1, kBits, i));
      }
      for (std::size_t group = 0; group < scales_->shape[1]; ++group) {
        *shared++ = {FloatAt(*scales_, o * scales_->shape[1] + group), kZero};
      }
    }
  }

 private:
  const files::Tensor* weight_;
  const files::Tensor* scales_;
};

}  // namespace

bool HasMlc(const Module& module) {
  return module.Find("q_weight") != nullptr && module.Find("q_scale") != nullptr &&
         module.Find("q_invperm") == nullptr;
}

Result<std::unique_ptr<Matrix>> OpenMlc(const Module& module) {
  ASSIGN_OR_RETURN(const files::Tensor* weight, module.Need("q_weight", {"U32"}, 2));
  const std::uint64_t outputs = weight->shape[0];
  const std::uint64_t inputs = weight->shape[1] * 32 / kBits;
  if (inputs % kSize != 0 || inputs > kMostSide) {
    return module.NotRead("rows of ", inputs, " values: only multiples of ", kSize, " can be read");
  }
  ASSIGN_OR_RETURN(const files::Tensor* scales,
                   module.Need("q_scale", {"F16", "BF16", "F32"}, {outputs, inputs / kSize}));
  return std::unique_ptr<Matrix>(std::make_unique<MlcMatrix>(
      static_cast<std::uint32_t>(outputs), static_cast<std::uint32_t>(inputs), weight, scales));
}

}  // namespace bramble::model::quantized
