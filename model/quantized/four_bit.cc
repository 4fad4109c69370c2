// bitsandbytes' NF4 and FP4 (https://github.com/bitsandbytes-foundation/bitsandbytes): indices into
// a codebook of 16, with a scale for each block of the flat matrix.
//
// `weight`: outputs * inputs / 2 bytes, high nibble first, in whatever type they are stored;
// `weight.absmax`: a scale for each block, F32, or a byte each where scales are quantized again:
// nested_quant_map[byte] * nested_absmax[i / nested_blocksize] + nested_offset; `weight.quant_map`:
// the codebook; `weight.quant_state.bitsandbytes__nf4` or `__fp4`: JSON with shape and sizes.
#include <algorithm>
#include <cmath>
#include <string_view>

#include "kernels/encodings/float_codebooks.h"
#include "model/files/json.h"
#include "model/files/quote.h"
#include "model/quantized/layouts.h"

namespace bramble::model::quantized {
namespace {

constexpr std::size_t kMostStateBytes = 4096;
constexpr std::size_t kMostStateValues = 64;
constexpr std::uint32_t kBlockValues = 64;  // of the encodings
constexpr std::int64_t kMostBlock = 4096;

struct Codebook {
  std::string_view state;  // the name of the tensor with the JSON
  v1::Encoding encoding;
  const float* values;
};
constexpr Codebook kCodebooks[] = {
    {"weight.quant_state.bitsandbytes__nf4", v1::ENCODING_NF4, kernels::nf4_values},
    {"weight.quant_state.bitsandbytes__fp4", v1::ENCODING_FP4, kernels::fp4_values},
};

struct State {
  std::uint32_t outputs = 0;
  std::uint32_t inputs = 0;
  std::uint64_t block = 0;
  std::uint64_t nested_block = 0;  // 0: scales are floats
  float nested_offset = 0;
};

Result<State> ReadState(const Module& module, const files::Tensor& tensor) {
  const std::string_view text(reinterpret_cast<const char*>(tensor.bytes.data()),
                              tensor.bytes.size());
  if (tensor.type != "U8" || text.size() > kMostStateBytes) {
    return module.Wrong("its quant_state is no short text");
  }
  auto json = files::ReadJson(text, kMostStateValues);
  if (!json.ok()) return json.status().WithContext(files::Quote(tensor.name));
  const auto whole = [&](const char* key, std::int64_t most) -> std::uint64_t {
    const auto* value = files::FindValue(*json, key);
    const std::int64_t number = value == nullptr ? 0 : value->Whole().value_or(0);
    return number < 0 || number > most ? 0 : static_cast<std::uint64_t>(number);
  };
  State state;
  const auto* shape = files::FindValue(*json, "shape");
  const auto sides =
      shape == nullptr ? Result<std::vector<double>>(std::vector<double>()) : shape->Numbers(2);
  if (!sides.ok() || sides->size() != 2) return module.Wrong("its quant_state has no shape of two");
  for (const double side : *sides) {
    if (!(side >= 1 && side <= static_cast<double>(kMostSide)) || side != std::floor(side)) {
      return module.Wrong("its quant_state says a side of ", side);
    }
  }
  state.outputs = static_cast<std::uint32_t>((*sides)[0]);
  state.inputs = static_cast<std::uint32_t>((*sides)[1]);
  state.block = whole("blocksize", kMostBlock);
  state.nested_block = whole("nested_blocksize", std::int64_t{1} << 20);
  const auto* offset = files::FindValue(*json, "nested_offset");
  if (offset != nullptr) state.nested_offset = static_cast<float>(offset->Real().value_or(0));
  if (state.inputs % kBlockValues != 0 || state.block == 0 || state.block % kBlockValues != 0) {
    return module.NotRead("rows of ", state.inputs, " values in blocks of ", state.block,
                          ": only multiples of ", kBlockValues, " can be read");
  }
  return state;
}

class FourBitMatrix final : public Matrix {
 public:
  FourBitMatrix(const State& state, v1::Encoding encoding, const files::Tensor* weight,
                const files::Tensor* absmax)
      : Matrix(state.outputs, state.inputs), state_(state), weight_(weight), absmax_(absmax) {
    Uses(weight);
    Uses(absmax);
    AddPart(encoding, 0, state.inputs);
  }
  using Matrix::Uses;

  void Nest(const files::Tensor* map, const files::Tensor* scales) {
    nested_map_ = map;
    nested_scales_ = scales;
    Uses(map);
    Uses(scales);
  }

 protected:
  void Read(std::uint32_t first, std::uint32_t count, std::uint8_t* codes,
            Shared* shared) const override {
    std::size_t at = std::size_t{first} * inputs();
    for (std::uint32_t o = 0; o < count; ++o) {
      for (std::uint32_t i = 0; i < inputs(); ++i, ++at) {
        const auto byte = std::to_integer<std::uint8_t>(weight_->bytes[at / 2]);
        *codes++ = at % 2 == 0 ? byte >> 4U : byte & 15U;
        if (i % kGroup == 0) (*shared++).scale = Scale(at / state_.block);
      }
    }
  }

 private:
  float Scale(std::size_t block) const {
    if (nested_map_ == nullptr) return FloatAt(*absmax_, block);
    const auto byte = std::to_integer<std::uint8_t>(absmax_->bytes[block]);
    return FloatAt(*nested_map_, byte) * FloatAt(*nested_scales_, block / state_.nested_block) +
           state_.nested_offset;
  }

  State state_;
  const files::Tensor* weight_;
  const files::Tensor* absmax_;
  const files::Tensor* nested_map_ = nullptr;
  const files::Tensor* nested_scales_ = nullptr;
};

Status CheckMap(const Module& module, const files::Tensor& map, const Codebook& codebook) {
  for (std::size_t i = 0; i < 16; ++i) {
    if (FloatAt(map, i) == codebook.values[i]) continue;
    return module.NotRead("its quant_map has ", FloatAt(map, i), " at ", i,
                          ", and only the codebooks of bitsandbytes can be read (",
                          codebook.values[i], ")");
  }
  return {};
}

}  // namespace

bool HasFourBit(const Module& module) { return module.Find("weight.absmax") != nullptr; }

Result<std::unique_ptr<Matrix>> OpenFourBit(const Module& module) {
  const Codebook* codebook = nullptr;
  for (const Codebook& row : kCodebooks) {
    if (module.Find(row.state) != nullptr) codebook = &row;
  }
  if (codebook == nullptr) return module.Wrong("there is no quant_state of nf4 or fp4");
  const files::Tensor* text = module.Find(codebook->state);
  ASSIGN_OR_RETURN(const State state, ReadState(module, *text));
  const std::uint64_t values = std::uint64_t{state.outputs} * state.inputs;
  const std::uint64_t blocks = (values + state.block - 1) / state.block;
  const files::Tensor* weight = module.Find("weight");
  if (weight == nullptr || weight->bytes.size() != values / 2) {
    return module.Wrong("its weight must have ", values / 2, " bytes, for [", state.outputs, ", ",
                        state.inputs, "]");
  }
  ASSIGN_OR_RETURN(const files::Tensor* map, module.Need("weight.quant_map", {"F32"}, {16}));
  RETURN_IF_ERROR(CheckMap(module, *map, *codebook));
  const bool nested = module.Find("weight.nested_absmax") != nullptr;
  ASSIGN_OR_RETURN(const files::Tensor* absmax,
                   module.Need("weight.absmax", {nested ? "U8" : "F32"}, {blocks}));
  auto matrix = std::make_unique<FourBitMatrix>(state, codebook->encoding, weight, absmax);
  matrix->Uses(text);
  matrix->Uses(map);
  if (nested) {
    if (state.nested_block == 0) return module.Wrong("its quant_state has no nested_blocksize");
    const std::uint64_t count = (blocks + state.nested_block - 1) / state.nested_block;
    ASSIGN_OR_RETURN(const files::Tensor* scales,
                     module.Need("weight.nested_absmax", {"F32"}, {count}));
    ASSIGN_OR_RETURN(const files::Tensor* table,
                     module.Need("weight.nested_quant_map", {"F32"}, {256}));
    matrix->Nest(table, scales);
  }
  return std::unique_ptr<Matrix>(std::move(matrix));
}

}  // namespace bramble::model::quantized
