// EXL2 (https://github.com/turboderp/exllamav2): a matrix in groups of inputs, each with a width of
// 2 to 8 bits of its own.
//
// `q_groups` int16 [2 * groups]: for each group its bits and its first row in `q_weight`;
// `q_weight` int32 [rows, outputs rounded up to 32]: of each group the streams of its columns'
// bits, down its rows; `q_scale` int32 [groups, outputs / 8]: nibbles c; `q_scale_max` F16
// [groups]; `q_invperm` int32 [inputs]: where each input stands. value = (code - 2^(bits-1)) * (c +
// 1)^2 * scale_max / 256; the scale is exact here, where ExLlamaV2 rounds it to F16.
#include <algorithm>

#include "model/files/little_endian.h"
#include "model/quantized/layouts.h"

namespace bramble::model::quantized {
namespace {

constexpr std::uint32_t kPaddedTo = 32;  // outputs

struct Group {
  std::uint32_t bits = 0;
  std::uint32_t row = 0;    // its first in q_weight
  std::uint32_t first = 0;  // of its columns
  std::uint32_t count = 0;
};

class Exl2Matrix final : public Matrix {
 public:
  Exl2Matrix(std::uint32_t outputs, std::uint32_t inputs, const files::Tensor* weight,
             const files::Tensor* scales, const files::Tensor* most, std::vector<Group> groups,
             std::vector<std::uint32_t> order)
      : Matrix(outputs, inputs),
        weight_(weight),
        scales_(scales),
        most_(most),
        groups_(std::move(groups)) {
    for (const files::Tensor* tensor : {weight, scales, most}) Uses(tensor);
    // Groups of one width side by side are one part.
    for (std::size_t g = 0; g < groups_.size();) {
      const Group& begin = groups_[g];
      std::uint32_t count = 0;
      for (; g < groups_.size() && groups_[g].bits == begin.bits; ++g) count += groups_[g].count;
      AddPart(IntegerEncoding(begin.bits, kGroup), begin.first, count);
    }
    SetPermutation(std::move(order));
    MayHavePadding(kPaddedTo - 1);
  }
  using Matrix::Uses;

 protected:
  void Read(std::uint32_t first, std::uint32_t count, std::uint8_t* codes,
            Shared* shared) const override {
    const std::size_t width = weight_->shape[1];
    for (std::size_t g = 0; g < groups_.size(); ++g) {
      const Group& group = groups_[g];
      const std::byte* rows = weight_->bytes.data() + group.row * width * 4;
      for (std::uint32_t i = 0; i < group.count; ++i) {
        for (std::uint32_t o = 0; o < count; ++o) {
          codes[std::size_t{o} * inputs() + group.first + i] = static_cast<std::uint8_t>(
              StreamValue(rows + std::size_t{first + o} * 4, width, group.bits, i));
        }
      }
      for (std::uint32_t o = 0; o < count; ++o) {
        Shared* to = shared + (std::size_t{o} * inputs() + group.first) / kGroup;
        std::fill_n(to, group.count / kGroup,
                    Shared{Scale(g, first + o), std::int32_t{1} << (group.bits - 1)});
      }
    }
  }

 private:
  float Scale(std::size_t group, std::uint32_t output) const {
    const std::size_t word = group * scales_->shape[1] + output / 8;
    const auto nibbles = files::Load<std::uint32_t>(scales_->bytes.data() + 4 * word);
    const std::uint32_t c = (nibbles >> (4 * (output % 8)) & 15U) + 1;
    return static_cast<float>(c * c) * (FloatAt(*most_, group) * 0x1p-8F);
  }

  const files::Tensor* weight_;
  const files::Tensor* scales_;
  const files::Tensor* most_;
  std::vector<Group> groups_;
};

Result<std::vector<Group>> ReadGroups(const Module& module, const files::Tensor& table,
                                      std::uint64_t rows, std::uint32_t inputs) {
  std::vector<Group> groups(table.shape[0] / 2);
  std::uint32_t filled = 0;
  for (std::size_t g = 0; g < groups.size(); ++g) {
    Group& group = groups[g];
    const std::int32_t bits = WholeAt(table, 2 * g);
    const std::int32_t row = WholeAt(table, 2 * g + 1);
    const std::int64_t end =
        g + 1 < groups.size() ? WholeAt(table, 2 * g + 3) : static_cast<std::int64_t>(rows);
    if (bits < 2 || bits > 8 ||
        IntegerEncoding(static_cast<std::uint32_t>(bits), 32) == v1::ENCODING_UNSPECIFIED) {
      return module.NotRead("group ", g, " has ", bits, " bits");
    }
    if (row < 0 || end <= row || end > static_cast<std::int64_t>(rows)) {
      return module.Wrong("group ", g, " has the rows ", row, " to ", end, " of ", rows);
    }
    group.bits = static_cast<std::uint32_t>(bits);
    group.row = static_cast<std::uint32_t>(row);
    group.first = filled;
    // The last group may be shorter than its rows have room for.
    const std::uint64_t room = static_cast<std::uint64_t>(end - row) * 32 / group.bits;
    const bool last = g + 1 == groups.size();
    group.count = static_cast<std::uint32_t>(
        std::min<std::uint64_t>(room, inputs - std::min(filled, inputs)));
    if (group.count == 0 || (!last && group.count != room) || group.count % 32 != 0) {
      return module.NotRead("group ", g, " has ", room, " columns, ", inputs - filled,
                            " are left, and only multiples of 32 can be read");
    }
    filled += group.count;
  }
  if (filled != inputs) {
    return module.Wrong("its groups have ", filled, " columns, and q_invperm ", inputs);
  }
  return groups;
}

// The input at each place. Empty: in order.
Result<std::vector<std::uint32_t>> Invert(const Module& module, const files::Tensor& places) {
  const auto inputs = static_cast<std::uint32_t>(places.shape[0]);
  std::vector<std::uint32_t> order(inputs, inputs);
  for (std::uint32_t i = 0; i < inputs; ++i) {
    const std::int32_t place = WholeAt(places, i);
    if (place < 0 || static_cast<std::uint32_t>(place) >= inputs ||
        order[static_cast<std::uint32_t>(place)] != inputs) {
      return module.Wrong("q_invperm is no permutation: ", place, " at ", i);
    }
    order[static_cast<std::uint32_t>(place)] = i;
  }
  if (std::is_sorted(order.begin(), order.end())) order.clear();
  return order;
}

}  // namespace

bool HasExl2(const Module& module) {
  return module.Find("q_weight") != nullptr && module.Find("q_invperm") != nullptr;
}

Result<std::unique_ptr<Matrix>> OpenExl2(const Module& module) {
  ASSIGN_OR_RETURN(const files::Tensor* weight, module.Need("q_weight", {"I32"}, 2));
  ASSIGN_OR_RETURN(const files::Tensor* table, module.Need("q_groups", {"I16"}, 1));
  ASSIGN_OR_RETURN(const files::Tensor* places, module.Need("q_invperm", {"I32"}, 1));
  const std::uint64_t groups = table->shape[0] / 2;
  ASSIGN_OR_RETURN(const files::Tensor* most, module.Need("q_scale_max", {"F16"}, {groups}));
  ASSIGN_OR_RETURN(const files::Tensor* scales, module.Need("q_scale", {"I32"}, 2));
  // Outputs are padded, in q_scale as in q_weight.
  const std::uint64_t outputs = scales->shape[1] * 8;
  if (scales->shape[0] != groups || weight->shape[1] < outputs || outputs > kMostSide) {
    return module.Wrong("q_weight, q_scale and q_groups do not fit each other");
  }
  const auto inputs = static_cast<std::uint32_t>(places->shape[0]);
  ASSIGN_OR_RETURN(auto list, ReadGroups(module, *table, weight->shape[0], inputs));
  ASSIGN_OR_RETURN(auto order, Invert(module, *places));
  auto matrix = std::make_unique<Exl2Matrix>(static_cast<std::uint32_t>(outputs), inputs, weight,
                                             scales, most, std::move(list), std::move(order));
  matrix->Uses(table);
  matrix->Uses(places);
  return std::unique_ptr<Matrix>(std::move(matrix));
}

}  // namespace bramble::model::quantized
