// GPTQ and AWQ: matrices [inputs, outputs] of integers in 32-bit words, a scale and an integer zero
// for each group of inputs and output.
//
// GPTQ (AutoGPTQ, GPTQModel, transformers): `qweight` [inputs * bits / 32, outputs], each column a
// stream of bits down its words; `qzeros` [groups, outputs * bits / 32], each row a stream, of the
// zero less 1 (checkpoint_format "gptq") or the zero ("gptq_v2"); `scales` [groups, outputs];
// optional `g_idx` [inputs], the group of each input ("act order").
// AWQ: `qweight` [inputs, outputs / 8], `qzeros` [groups, outputs / 8], words of eight nibbles, of
// which nibble i belongs to output 8 w + {0, 2, 4, 6, 1, 3, 5, 7}[i]; the zero as it is.
#include <algorithm>

#include "model/files/little_endian.h"
#include "model/files/quote.h"
#include "model/quantized/layouts.h"

namespace bramble::model::quantized {
namespace {

// The groups of a matrix of `inputs` inputs, and where its columns stand.
struct Grouping {
  std::uint32_t groups = 0;
  GroupOrder order;
};

Result<Grouping> ReadGrouping(const Module& module, std::uint32_t inputs, std::uint64_t groups) {
  Grouping grouping;
  grouping.groups = static_cast<std::uint32_t>(groups);
  std::vector<std::uint32_t> group_of(inputs);
  const files::Tensor* index = module.Find("g_idx");
  bool given = false;
  if (index != nullptr) {
    RETURN_IF_ERROR(module.Need("g_idx", {"I32"}, {inputs}).status());
    for (std::uint32_t i = 0; i < inputs; ++i) {
      const std::int32_t group = WholeAt(*index, i);
      if (group < 0 || static_cast<std::uint32_t>(group) >= grouping.groups) {
        return module.Wrong("g_idx names group ", group, ", there are ", groups);
      }
      group_of[i] = static_cast<std::uint32_t>(group);
      given = given || group != 0;
    }
  }
  if (!given) {  // all zero is what some writers leave where there is no order
    const std::int64_t said = module.Whole("group_size").value_or(-1);
    const std::uint64_t size = said > 0 ? static_cast<std::uint64_t>(said) : inputs;
    if ((inputs + size - 1) / size != groups) {
      return module.Wrong(inputs, " inputs in groups of ", size, " are not the ", groups,
                          " groups of the scales");
    }
    for (std::uint32_t i = 0; i < inputs; ++i) group_of[i] = static_cast<std::uint32_t>(i / size);
  }
  ASSIGN_OR_RETURN(grouping.order, OrderByGroup(module, group_of, grouping.groups));
  return grouping;
}

// What both layouts have in common.
class WordMatrix : public Matrix {
 public:
  WordMatrix(std::uint32_t outputs, std::uint32_t inputs, std::uint32_t bits,
             const files::Tensor* weight, const files::Tensor* zeros, const files::Tensor* scales,
             Grouping grouping)
      : Matrix(outputs, inputs),
        bits_(bits),
        weight_(weight),
        zeros_(zeros),
        scales_(scales),
        order_(std::move(grouping.order)) {
    for (const files::Tensor* tensor : {weight, zeros, scales}) Uses(tensor);
    AddPart(IntegerEncoding(bits, order_.least), 0, inputs);
    SetPermutation(order_.columns);
  }
  using Matrix::Uses;

 protected:
  virtual std::uint32_t Code(std::uint32_t input, std::uint32_t output) const = 0;
  virtual std::int32_t Zero(std::uint32_t group, std::uint32_t output) const = 0;

  void Read(std::uint32_t first, std::uint32_t count, std::uint8_t* codes,
            Shared* shared) const override {
    for (std::uint32_t input = 0; input < inputs(); ++input) {
      std::uint8_t* to = codes + order_.places[input];
      for (std::uint32_t o = 0; o < count; ++o) {
        to[std::size_t{o} * inputs()] = static_cast<std::uint8_t>(Code(input, first + o));
      }
    }
    for (std::uint32_t o = 0; o < count; ++o) {
      for (const std::uint32_t group : order_.group_of) {
        shared->scale = FloatAt(*scales_, std::size_t{group} * outputs() + first + o);
        shared->zero = Zero(group, first + o);
        ++shared;
      }
    }
  }

  std::uint32_t bits_;
  const files::Tensor* weight_;
  const files::Tensor* zeros_;

 private:
  const files::Tensor* scales_;
  GroupOrder order_;
};

class GptqMatrix final : public WordMatrix {
 public:
  template <typename... Arguments>
  explicit GptqMatrix(std::int32_t zero_added, Arguments&&... arguments)
      : WordMatrix(std::forward<Arguments>(arguments)...), zero_added_(zero_added) {}

 protected:
  std::uint32_t Code(std::uint32_t input, std::uint32_t output) const override {
    return StreamValue(weight_->bytes.data() + std::size_t{output} * 4, outputs(), bits_, input);
  }
  std::int32_t Zero(std::uint32_t group, std::uint32_t output) const override {
    const std::byte* row = zeros_->bytes.data() + std::size_t{group} * zeros_->shape[1] * 4;
    return static_cast<std::int32_t>(StreamValue(row, 1, bits_, output)) + zero_added_;
  }

 private:
  std::int32_t zero_added_;
};

class AwqMatrix final : public WordMatrix {
 public:
  using WordMatrix::WordMatrix;

 protected:
  std::uint32_t Code(std::uint32_t input, std::uint32_t output) const override {
    return Nibble(*weight_, input, output);
  }
  std::int32_t Zero(std::uint32_t group, std::uint32_t output) const override {
    return static_cast<std::int32_t>(Nibble(*zeros_, group, output));
  }

 private:
  static std::uint32_t Nibble(const files::Tensor& tensor, std::size_t row, std::uint32_t output) {
    static constexpr std::uint32_t kPlace[8] = {0, 4, 1, 5, 2, 6, 3, 7};  // of output 8 w + i
    const std::size_t word = row * tensor.shape[1] + output / 8;
    return files::Load<std::uint32_t>(tensor.bytes.data() + 4 * word) >> (4 * kPlace[output % 8]) &
           15U;
  }
};

// The number of whole values of `bits` in `words` words.
Result<std::uint32_t> ValuesOf(const Module& module, std::uint64_t words, std::uint32_t bits) {
  const std::uint64_t values = words * 32 / bits;
  if (values * bits == words * 32 && values <= kMostSide) return static_cast<std::uint32_t>(values);
  return module.Wrong(words, " words of 32 bits are no whole number of values of ", bits, " bits");
}

}  // namespace

bool HasGptq(const Module& module) { return module.Find("qweight") != nullptr; }

Result<std::unique_ptr<Matrix>> OpenGptq(const Module& module) {
  const std::int64_t bits_said = module.Whole("bits").value_or(4);
  const auto bits = static_cast<std::uint32_t>(bits_said);
  const bool awq = module.Text("quant_method") == "awq";
  if (bits_said < 2 || bits_said > 8 || bits == 5 || bits == 6 || bits == 7 || (awq && bits != 4)) {
    return module.NotRead("config.json says ", bits_said,
                          " bits; GPTQ is read with 2, 3, 4 or 8, AWQ with 4");
  }
  ASSIGN_OR_RETURN(const files::Tensor* weight, module.Need("qweight", {"I32"}, 2));
  ASSIGN_OR_RETURN(const files::Tensor* scales, module.Need("scales", {"F16", "BF16", "F32"}, 2));
  const std::uint64_t groups = scales->shape[0];
  const auto outputs = static_cast<std::uint32_t>(scales->shape[1]);
  std::uint32_t inputs = static_cast<std::uint32_t>(weight->shape[0]);
  if (!awq) {
    ASSIGN_OR_RETURN(inputs, ValuesOf(module, weight->shape[0], bits));
  }
  const std::uint64_t words = std::uint64_t{outputs} * bits / 32;  // of a row of zeros
  ASSIGN_OR_RETURN(const std::uint32_t filled, ValuesOf(module, words, bits));
  if (filled != outputs) return module.Wrong(outputs, " outputs do not fill whole words");
  ASSIGN_OR_RETURN(const files::Tensor* zeros, module.Need("qzeros", {"I32"}, {groups, words}));
  if (weight->shape[1] != (awq ? words : outputs)) {
    return module.Wrong("qweight has the shape ", files::ShapeText(weight->shape), ", and scales ",
                        files::ShapeText(scales->shape), " of ", bits, " bits need ",
                        awq ? words : outputs, " columns");
  }
  ASSIGN_OR_RETURN(Grouping grouping, ReadGrouping(module, inputs, groups));
  std::unique_ptr<WordMatrix> matrix;
  if (awq) {
    const std::string version = module.Text("version");
    if (!version.empty() && version != "gemm" && version != "GEMM") {
      return module.NotRead("AWQ's layout ", files::Quote(version), " cannot be read, only 'gemm'");
    }
    matrix = std::make_unique<AwqMatrix>(outputs, inputs, bits, weight, zeros, scales, grouping);
  } else {
    const std::string format = module.Text("checkpoint_format");
    if (!format.empty() && format != "gptq" && format != "gptq_v2") {
      return module.NotRead("the checkpoint_format ", files::Quote(format),
                            " cannot be read, only 'gptq' and 'gptq_v2'");
    }
    matrix = std::make_unique<GptqMatrix>(format == "gptq_v2" ? 0 : 1, outputs, inputs, bits,
                                          weight, zeros, scales, grouping);
  }
  if (const files::Tensor* index = module.Find("g_idx")) matrix->Uses(index);
  return std::unique_ptr<Matrix>(std::move(matrix));
}

}  // namespace bramble::model::quantized
