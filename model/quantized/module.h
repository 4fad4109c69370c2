#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/status.h"
#include "model/files/metadata.h"
#include "model/files/tensor_index.h"

namespace bramble::model::quantized {

// The most rows and columns of a matrix: as many as a program can have.
inline constexpr std::uint64_t kMostSide = std::uint64_t{1} << 24;

// The tensors of one linear layer, "layers.0.self_attn.q_proj", and what config.json says about
// quantization. What it was made from must outlive it. Immutable: any thread.
class Module {
 public:
  Module(const files::TensorIndex& tensors, const files::Metadata& metadata, std::string name)
      : tensors_(tensors), metadata_(metadata), name_(std::move(name)) {}

  const std::string& name() const { return name_; }

  // The tensor NAME.suffix, or nullptr.
  const files::Tensor* Find(std::string_view suffix) const;
  // The same, which must be of one of these types ("I32", "F16") and have `dimensions`. Invalid
  // names what is wrong.
  Result<const files::Tensor*> Need(std::string_view suffix,
                                    std::initializer_list<std::string_view> types,
                                    std::size_t dimensions) const;
  // ... and this shape.
  Result<const files::Tensor*> Need(std::string_view suffix,
                                    std::initializer_list<std::string_view> types,
                                    std::initializer_list<std::uint64_t> shape) const;

  // config.json's quantization_config.key.
  std::string Text(std::string_view key) const;  // empty: there is none
  std::optional<std::int64_t> Whole(std::string_view key) const;

  // Invalid, or Unimplemented, with the module's name in front.
  template <typename... Parts>
  Status Wrong(const Parts&... parts) const {
    return Invalid(parts...).WithContext(Place());
  }
  template <typename... Parts>
  Status NotRead(const Parts&... parts) const {
    return Unimplemented(parts...).WithContext(Place());
  }

 private:
  std::string Place() const;
  Status CheckType(const files::Tensor& tensor,
                   std::initializer_list<std::string_view> types) const;

  const files::TensorIndex& tensors_;
  const files::Metadata& metadata_;
  std::string name_;
};

// Value `at` of a tensor of F32, F16, BF16.
float FloatAt(const files::Tensor& tensor, std::size_t at);
// Of I32 or I16.
std::int32_t WholeAt(const files::Tensor& tensor, std::size_t at);

// Columns in the order of their groups, each group's in rising order, as act-order checkpoints name
// the group of each column.
struct GroupOrder {
  std::vector<std::uint32_t> columns;   // [inputs]: what stands at each place; empty: the columns
  std::vector<std::uint32_t> places;    // [inputs]: where each column stands
  std::vector<std::uint32_t> group_of;  // [inputs / 32]: the group of each 32 places
  std::uint32_t least = 0;              // every group's columns are a multiple of this
};

// From the group of each column, all below `groups`: Unimplemented unless each group's columns are
// a multiple of 32.
Result<GroupOrder> OrderByGroup(const Module& module,
                                std::span<const std::uint32_t> group_of_column,
                                std::uint32_t groups);

}  // namespace bramble::model::quantized
