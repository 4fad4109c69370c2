#include "worker/exec/weights.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "common/check.h"
#include "kernels/convert.h"
#include "proto/program/weights.h"

namespace bramble::worker {
namespace {

using program::HeldForm;
using program::HeldWeight;

static_assert(static_cast<int>(kernels::InputForm::kF32) == v1::INPUT_FORM_F32);
static_assert(static_cast<int>(kernels::InputForm::kA8) == v1::INPUT_FORM_A8_32);

LoadedWeight Describe(const v1::Weight& weight, const HeldWeight& item,
                      kernels::Features features) {
  LoadedWeight loaded;
  loaded.encoding = program::FindEncoding(weight.encoding());
  loaded.row_bytes = program::WeightRowBytes(weight);
  loaded.columns = weight.shape(weight.shape_size() - 1);
  if (item.form != HeldForm::kMatrix) return loaded;
  loaded.kernel = kernels::FindMatmul(loaded.encoding->encoding,
                                      static_cast<kernels::InputForm>(item.input_form), features);
  CHECK(loaded.kernel != nullptr);  // the check has asked takes_a8
  const int dims = weight.shape_size();
  loaded.shape.outputs = static_cast<std::uint32_t>(weight.shape(dims - 2));
  loaded.shape.inputs = static_cast<std::uint32_t>(weight.shape(dims - 1));
  loaded.matrices = program::WeightRows(weight) / loaded.shape.outputs;
  loaded.shape.segments = static_cast<std::uint32_t>(item.segment_ends.size());
  for (std::size_t i = 0; i < item.segment_ends.size(); ++i) {
    loaded.shape.segment_ends[i] = item.segment_ends[i];
  }
  return loaded;
}

// The panels of all matrices of a weight, one matrix after the other.
class PackWork final : public Team::Work {
 public:
  PackWork(const LoadedWeight& loaded, const std::byte* rows, std::byte* place)
      : loaded_(loaded),
        rows_(rows),
        place_(place),
        panels_(kernels::Panels(loaded.shape)),
        items_(panels_ * loaded.matrices) {}

  std::uint64_t Next() override { return std::exchange(items_, 0); }
  void Do(std::uint64_t first, std::uint64_t last, int /*thread*/) override {
    while (first < last) {
      const std::uint64_t matrix = first / panels_;
      const std::uint64_t end = std::min(last, (matrix + 1) * panels_);
      loaded_.kernel->pack(
          loaded_.shape, rows_ + matrix * loaded_.shape.outputs * loaded_.row_bytes,
          place_ + matrix * loaded_.matrix_bytes, first - matrix * panels_, end - matrix * panels_);
      first = end;
    }
  }

 private:
  const LoadedWeight& loaded_;
  const std::byte* rows_;
  std::byte* place_;
  std::uint64_t panels_;  // of one matrix
  std::uint64_t items_;
};

// Fills an item's place from the encoded bytes.
void Pack(const LoadedWeight& loaded, const HeldWeight& item, std::span<const std::byte> bytes,
          std::byte* place, Team& team) {
  if (item.form == HeldForm::kMatrix) {
    PackWork work(loaded, bytes.data(), place);
    team.Run(work);
  } else {
    std::memcpy(place, bytes.data(), bytes.size());
  }
}

Result<std::span<const std::byte>> BytesOf(const v1::Weight& weight, WeightSource& source) {
  std::span<const std::byte> bytes(reinterpret_cast<const std::byte*>(weight.data().data()),
                                   weight.data().size());
  if (weight.data().empty()) {
    ASSIGN_OR_RETURN(bytes, source.Bytes(weight));
  }
  if (bytes.size() != program::WeightBytes(weight)) {
    return Invalid("has ", bytes.size(), " bytes, its shape needs ", program::WeightBytes(weight));
  }
  return bytes;
}

}  // namespace

void LoadedWeight::DecodeRow(std::size_t row, float* out) const {
  if (kernel != nullptr) {
    kernel->unpack_row(shape, data, row, out);
  } else {
    encoding->decode(data + row * row_bytes, columns / encoding->block_values, out);
  }
}

Result<LoadedWeights> LoadedWeights::Load(const v1::Program& program, kernels::Features features,
                                          Team& team, WeightSource& source) {
  LoadedWeights weights;
  weights.held_ =
      program::HoldWeights(program, 0, static_cast<std::uint32_t>(program.blocks_size()));
  ASSIGN_OR_RETURN(weights.region_,
                   Region::Allocate(program::HeldBytes(program, weights.held_), "the weights"));
  std::byte* place = weights.region_.data();
  for (const HeldWeight& item : weights.held_.items) {
    const v1::Weight& weight = program.weights(static_cast<int>(item.weight));
    const std::string name = program::Printable(weight.name(), "weight", item.weight);
    auto bytes = BytesOf(weight, source);
    if (!bytes.ok()) return bytes.status().WithContext(name);
    LoadedWeight loaded = Describe(weight, item, features);
    loaded.data = place;
    const std::size_t room = program::HeldBytes(program, item);
    loaded.matrix_bytes = room / loaded.matrices;
    CHECK(loaded.kernel == nullptr ||
          loaded.kernel->packed_bytes(loaded.shape) <= loaded.matrix_bytes);
    Pack(loaded, item, *bytes, place, team);
    if (item.form == HeldForm::kVector &&
        !kernels::AllFinite(loaded.numbers(), program::WeightBytes(weight) / sizeof(float))) {
      return Invalid(name, ": holds a number that is not finite");
    }
    if (weight.data().empty()) source.Done(weight);
    weights.loaded_.push_back(loaded);
    place += room;
  }
  return weights;
}

const LoadedWeight& LoadedWeights::matrix(std::uint32_t block, std::uint32_t operation) const {
  return loaded_[held_.matrix_of[block][operation]];
}

LoadedStacks LoadedWeights::stacks(std::uint32_t block, std::uint32_t operation) const {
  const program::HeldStacks& held = held_.stacks_of.at({block, operation});
  LoadedStacks stacks;
  for (const std::uint32_t item : held.gate) stacks.gate.push_back(&loaded_[item]);
  for (const std::uint32_t item : held.up) stacks.up.push_back(&loaded_[item]);
  for (const std::uint32_t item : held.down) stacks.down.push_back(&loaded_[item]);
  return stacks;
}

const LoadedWeight& LoadedWeights::vector(std::uint32_t weight) const {
  return loaded_[held_.vector_of[weight]];
}

}  // namespace bramble::worker
