#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bramble/v1/program.pb.h"
#include "common/status.h"

namespace bramble::model::files {

// A tensor of a model file, checked: its bytes lie inside the file and are as many as its shape and
// encoding say.
struct Tensor {
  std::string name;
  // ENCODING_UNSPECIFIED: of a type that no weight can have (an integer mask, say); `type` names
  // it.
  v1::Encoding encoding = v1::ENCODING_UNSPECIFIED;
  std::string_view type;             // as the file format spells it: "Q4_K", "BF16", "I64"; static
  std::vector<std::uint64_t> shape;  // outermost dimension first; empty: one value
  std::span<const std::byte> bytes;

  std::uint64_t values() const;
};

// More than any model has, and few enough that a hostile header cannot fill the memory.
inline constexpr std::size_t kMostTensors = std::size_t{1} << 17;

// The tensors of a model by name. Filled by one thread, then sealed; then immutable: any thread.
class TensorIndex {
 public:
  // ResourceExhausted beyond kMostTensors.
  Status Add(Tensor tensor);
  // After the last Add: InvalidArgument if two tensors have one name.
  Status Seal();

  // nullptr: there is none. Requires Seal.
  const Tensor* Find(std::string_view name) const;
  // Sorted by name. Requires Seal.
  const std::vector<Tensor>& all() const { return tensors_; }

 private:
  std::vector<Tensor> tensors_;
};

// "[49152, 576]".
std::string ShapeText(std::span<const std::uint64_t> shape);

// The product of `shape` in `values`; false if it does not fit into 63 bits.
bool CountValues(std::span<const std::uint64_t> shape, std::uint64_t* values);

// Checks one name of a file. InvalidArgument: empty, too long, or with a NUL in it, which C
// programs take for the end.
Status CheckName(std::string_view name, std::size_t limit);

// A range of bytes of a file that belongs to one tensor.
struct Extent {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  std::size_t tensor = 0;
};

// Whether two of them share a byte; then `first` and `second` are the tensors. Sorts `extents`.
bool FindOverlap(std::vector<Extent>* extents, std::size_t* first, std::size_t* second);

}  // namespace bramble::model::files
