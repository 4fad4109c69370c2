#include "proto/program/held.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "kernels/encodings/encoding.h"
#include "proto/program/references.h"
#include "proto/program/schedule.h"
#include "proto/program/weights.h"

namespace bramble::program {
namespace {

constexpr std::uint64_t kPanelRows = 16;
constexpr std::uint64_t kAlignment = 64;
constexpr std::uint64_t kTooMuch = std::uint64_t{1} << 62U;

class Collector {
 public:
  Collector(const v1::Program& program, std::uint32_t first, std::uint32_t count)
      : program_(program), first_(first), count_(count) {}

  HeldWeights Collect() {
    held_.vector_of.assign(static_cast<std::size_t>(program_.weights_size()), kNone);
    matrix_with_weight_.assign(held_.vector_of.size(), kNone);
    // Matrices first: a table may come before the linear that shares its weight.
    EachOperation([this](std::uint32_t b, std::uint32_t i, const v1::Operation& op) {
      if (op.has_linear()) {
        const v1::Linear& linear = op.linear();
        held_.matrix_of[b][i] = Matrix(linear.weight(), linear.input_form(), linear.segment_ends());
      }
      if (op.has_moe()) held_.stacks_of[{b, i}] = Stacks(op.moe());
    });
    EachOperation([this](std::uint32_t b, std::uint32_t i, const v1::Operation& op) {
      if (op.has_embed()) held_.matrix_of[b][i] = Table(op.embed());
      if (op.has_moe()) return AddVectors(op.moe());
      VisitWeights(op, [&](std::uint32_t weight) {
        if (op.has_embed() || (op.has_linear() && weight == op.linear().weight())) return;
        AddVector(weight);
      });
    });
    return std::move(held_);
  }

 private:
  template <typename F>
  void EachOperation(const F& f) {
    held_.matrix_of.resize(count_);
    for (std::uint32_t b = 0; b < count_; ++b) {
      const v1::Block& block = program_.blocks(static_cast<int>(first_ + b));
      held_.matrix_of[b].resize(static_cast<std::size_t>(block.operations_size()), kNone);
      for (int i = 0; i < block.operations_size(); ++i) {
        f(b, static_cast<std::uint32_t>(i), block.operations(i));
      }
    }
  }

  std::uint32_t Add(HeldWeight item) {
    held_.items.push_back(std::move(item));
    return static_cast<std::uint32_t>(held_.items.size() - 1);
  }

  template <typename Ends>
  std::uint32_t Matrix(std::uint32_t weight, v1::InputForm form, const Ends& segment_ends) {
    HeldWeight item;
    item.form = HeldForm::kMatrix;
    item.weight = weight;
    item.input_form = form;
    item.segment_ends.assign(segment_ends.begin(), segment_ends.end());
    const auto [found, fresh] =
        matrices_.try_emplace({item.weight, item.input_form, item.segment_ends}, kNone);
    if (fresh) found->second = Add(item);
    if (matrix_with_weight_[item.weight] == kNone) matrix_with_weight_[item.weight] = found->second;
    return found->second;
  }

  HeldStacks Stacks(const v1::Moe& moe) {
    HeldStacks stacks;
    for (const std::uint32_t weight : moe.gate()) {
      stacks.gate.push_back(Matrix(weight, moe.input_form(), moe.width_segment_ends()));
    }
    for (const std::uint32_t weight : moe.up()) {
      stacks.up.push_back(Matrix(weight, moe.input_form(), moe.width_segment_ends()));
    }
    for (const std::uint32_t weight : moe.down()) {
      stacks.down.push_back(Matrix(weight, moe.inner_form(), moe.inner_segment_ends()));
    }
    return stacks;
  }

  std::uint32_t Table(const v1::Embed& embed) {
    std::uint32_t& item = matrix_with_weight_[embed.table()];
    if (item == kNone) {
      HeldWeight rows;
      rows.form = HeldForm::kRows;
      rows.weight = embed.table();
      item = Add(rows);
    }
    return item;
  }

  // Not by their indices: a weight may be both a matrix and a vector of one mixture.
  void AddVectors(const v1::Moe& moe) {
    if (moe.has_selection_bias()) AddVector(moe.selection_bias());
    if (moe.has_gate_bias()) AddVector(moe.gate_bias());
    if (moe.has_up_bias()) AddVector(moe.up_bias());
    if (moe.has_down_bias()) AddVector(moe.down_bias());
    if (moe.has_expert_scale()) AddVector(moe.expert_scale());
  }

  void AddVector(std::uint32_t weight) {
    if (held_.vector_of[weight] != kNone) return;
    HeldWeight vector;
    vector.weight = weight;
    held_.vector_of[weight] = Add(vector);
  }

  const v1::Program& program_;
  std::uint32_t first_;
  std::uint32_t count_;
  HeldWeights held_;
  std::vector<std::uint32_t> matrix_with_weight_;
  std::map<std::tuple<std::uint32_t, v1::InputForm, std::vector<std::uint32_t>>, std::uint32_t>
      matrices_;
};

// Bytes that a packed block may take beyond its encoded ones: kernels for these unpack the 6-bit
// scales into bytes.
std::uint64_t UnpackedScales(v1::Encoding encoding) {
  switch (encoding) {
    case v1::ENCODING_Q3_K:
    case v1::ENCODING_Q4_K:
    case v1::ENCODING_Q5_K:
      return 4;
    default:
      return 0;
  }
}

std::uint64_t Aligned(std::uint64_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

}  // namespace

HeldWeights HoldWeights(const v1::Program& program, std::uint32_t first_block,
                        std::uint32_t block_count) {
  return Collector(program, first_block, block_count).Collect();
}

std::uint64_t HeldBytes(const v1::Program& program, const HeldWeight& item) {
  const v1::Weight& weight = program.weights(static_cast<int>(item.weight));
  if (item.form != HeldForm::kMatrix) return Aligned(WeightBytes(weight));
  const kernels::EncodingInfo& info = *FindEncoding(weight.encoding());
  const std::uint64_t block_bytes = info.block_bytes + UnpackedScales(weight.encoding());
  const int dims = weight.shape_size();
  const std::uint64_t outputs = weight.shape(dims - 2);
  const std::uint64_t panels = (outputs + kPanelRows - 1) / kPanelRows;
  const std::uint64_t matrix =
      Aligned(panels * kPanelRows * (weight.shape(dims - 1) / info.block_values) * block_bytes);
  return WeightRows(weight) / outputs * matrix;
}

std::uint64_t HeldBytes(const v1::Program& program, const HeldWeights& held) {
  std::uint64_t bytes = 0;
  for (const HeldWeight& item : held.items) {
    bytes = std::min(bytes + HeldBytes(program, item), kTooMuch);
  }
  return bytes;
}

}  // namespace bramble::program
