#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bramble/v1/program.pb.h"
#include "common/status.h"
#include "model/files/metadata.h"
#include "model/files/tensor_index.h"
#include "model/quantized/matrix.h"

namespace bramble::model::families {

// Index into Program.weights.
using WeightRef = std::uint32_t;

// How a matrix lies in the file.
enum class Layout : std::uint8_t {
  kOutputsByInputs,  // a row for each output, as a program wants it
  kInputsByOutputs,  // GPT-2's "Conv1D": transposed when it is read
};

// `count` outputs of a matrix of `total` (one part of a fused one): consecutive ones from `first`,
// or runs of `run` consecutive ones, each beginning `stride` after the one before.
struct RowRange {
  std::uint32_t first = 0;
  std::uint32_t count = 0;
  std::uint32_t total = 0;
  std::uint32_t run = 0;  // 0: one run
  std::uint32_t stride = 0;
};
inline RowRange AllRows(std::uint32_t count) { return {0, count, count}; }

// How numbers are made from a tensor of floats.
enum class Made : std::uint8_t {
  kNot,         // they are not: the other ways of Weights
  kPlain,       // as they are
  kTransposed,  // [columns, rows]
  kNegatedExp,  // -e^x
  kTokenShift,  // of a row m two: 1 - m and m
};

// How a quantized matrix of several weights is multiplied: each part with its columns of the
// permuted input, and the results added in order.
struct Composition {
  std::optional<WeightRef> permutation;  // as Gather.columns
  std::vector<WeightRef> parts;          // one beside the other
};

// The weights of a program in the making: each a tensor of the file, a part of one, or something
// made from one. They are described first and made later, so that the shape of everything is
// checked before a byte is read. Asked for the same weight twice, it gives the same reference. The
// first error stays (status()); references given after it mean nothing. One thread.
class Weights {
 public:
  // `tensors`, and `metadata`, which says how quantized ones are kept, must outlive this.
  Weights(const files::TensorIndex& tensors, const files::Metadata& metadata)
      : tensors_(tensors), metadata_(metadata) {}

  // Whether there is a tensor `name`, or a quantized matrix in its place.
  bool Has(std::string_view name) const;

  // How many rows the matrix `name` of `inputs` columns has: 1 to 2^24. An error if there is no
  // such matrix.
  std::uint32_t CountRows(std::string_view name, std::uint32_t inputs);

  // A matrix [rows.count, inputs] in the file's encoding. `name` must be a matrix [rows.total,
  // inputs], or the transposed of it; or, without its ".weight", a quantized one
  // (model/quantized/), which may be a composition.
  WeightRef Matrix(std::string_view name, RowRange rows, std::uint32_t inputs,
                   Layout layout = Layout::kOutputsByInputs);

  // All matrices of a tensor [matrices, rows, inputs], one behind the other, as it is stored.
  WeightRef Stack(std::string_view name, std::uint32_t matrices, std::uint32_t rows,
                  std::uint32_t inputs);

  // Rows of one matrix of a tensor [matrices, rows.total, inputs]: a matrix [rows.count, inputs].
  WeightRef MatrixOfStack(std::string_view name, std::uint32_t matrices, std::uint32_t matrix,
                          RowRange rows, std::uint32_t inputs);

  // A part of the outputs of each matrix of a tensor [matrices, inputs, outputs.total]: every
  // `step`th from outputs.first on, transposed: [matrices, outputs.count, inputs].
  WeightRef TransposedStack(std::string_view name, std::uint32_t matrices, std::uint32_t inputs,
                            RowRange outputs, std::uint32_t step);

  // The same of matrices that lie as a program wants them, in MXFP4 as gpt-oss keeps it: bytes
  // [matrices, outputs.total, inputs / 32, 16] of two neighbouring values each, the lower one in
  // the low half, and a byte of exponent for each 32.
  WeightRef Mxfp4Stack(std::string_view blocks, std::string_view scales, std::uint32_t matrices,
                       std::uint32_t inputs, RowRange outputs, std::uint32_t step);

  // The tensor [width] as a matrix [1, width], as it is stored.
  WeightRef RowMatrix(std::string_view name, std::uint32_t width);

  // F32 [rows, columns.count]: every `step`th column from columns.first on of a float tensor [rows,
  // columns.total], of which columns.total is a multiple.
  WeightRef Table(std::string_view name, std::uint32_t rows, RowRange columns, std::uint32_t step);

  // A vector [range.count] of F32 (widened if need be) of a tensor [range.total], `added` to each
  // value.
  WeightRef Vector(std::string_view name, RowRange range, float added = 0);

  // A vector [rows * columns] of F32 of a tensor [rows, columns].
  WeightRef Flattened(std::string_view name, std::uint32_t rows, std::uint32_t columns);

  // Numbers in F32 made from the float tensor `name` of [rows, columns] (0 columns: a vector),
  // where the tensor may have further dimensions of 1.
  WeightRef Floats(std::string_view name, std::uint32_t rows, std::uint32_t columns, Made made);

  // Small constants that the compiler has made; they travel inside of the program. A vector, or a
  // matrix of `rows`.
  WeightRef Constant(std::string_view name, const std::vector<float>& values, std::size_t rows = 1);

  // The values of the vector `name` themselves, for compilers that compute with them.
  std::vector<float> Read(std::string_view name, std::uint32_t size);

  // The encoding of a weight (F32 after an error).
  v1::Encoding EncodingOf(WeightRef ref) const;
  // Of a matrix [rows, columns], or a stack of such (1 after an error).
  std::uint32_t Rows(WeightRef ref) const;
  std::uint32_t Columns(WeightRef ref) const;

  // How the matrix `ref` is composed; nullptr: it is one weight, multiplied as it is. Valid until
  // the next matrix is asked for.
  const Composition* CompositionOf(WeightRef ref) const;
  // Refuses a composition where only one weight will do; `use` says where.
  void MustBeOne(WeightRef ref, std::string_view use);

  // Keeps `status` if it is the first error.
  void Refuse(Status status);
  const Status& status() const { return status_; }

  // Tensors of the file that no weight came from.
  std::vector<std::string> Unused() const;

  // Everything's description, still without hashes (but for the constants).
  const std::vector<v1::Weight>& all() const { return weights_; }

  // How to get the bytes of one weight.
  struct Recipe {
    const files::Tensor* tensor = nullptr;  // nullptr: a constant, its bytes are in the weight
    enum class Kind : std::uint8_t {
      kAsStored,
      kRuns,
      kWidened,
      kTransposed,
      kTransposedStack,
      kMxfp4,
      kQuantized,
      kPermutation,
    } kind = Kind::kAsStored;
    RowRange rows;
    float added = 0;
    std::uint32_t step = 1;                 // every `step`th value (kWidened) or output (stacks)
    std::uint32_t matrices = 1;             // of a stack
    const files::Tensor* scales = nullptr;  // kMxfp4
    Made made = Made::kNot;
    // kQuantized: rows of a part of it; kPermutation: its permutation.
    std::shared_ptr<const quantized::Matrix> quantized = nullptr;
    std::size_t part = 0;
  };
  const std::vector<Recipe>& recipes() const { return recipes_; }

 private:
  const files::Tensor* Find(std::string_view name);
  // The quantized matrix that stands in the place of tensor `name`; nullptr: there is none, or
  // something is wrong with it.
  std::shared_ptr<const quantized::Matrix> FindQuantized(std::string_view name);
  WeightRef QuantizedMatrix(const std::string& key,
                            const std::shared_ptr<const quantized::Matrix>& matrix, RowRange rows,
                            std::uint32_t inputs);
  std::optional<WeightRef> Permutation(const std::shared_ptr<const quantized::Matrix>& matrix);
  void Use(const files::Tensor* tensor);
  // The same, if it has this shape.
  const files::Tensor* Find(std::string_view name, std::vector<std::uint64_t> shape);
  // A tensor of this many bytes of no encoding.
  const files::Tensor* FindBytes(std::string_view name, std::vector<std::uint64_t> shape);
  // A weight of this shape in the tensor's encoding.
  WeightRef KeepAs(const std::string& key, v1::Encoding encoding,
                   std::initializer_list<std::uint64_t> shape, const Recipe& recipe);
  WeightRef Keep(const std::string& key, v1::Weight weight, const Recipe& recipe);
  WeightRef Numbers(std::string_view name, std::span<const std::uint64_t> shape, RowRange range,
                    float added);

  const files::TensorIndex& tensors_;
  const files::Metadata& metadata_;
  std::map<std::string, std::shared_ptr<const quantized::Matrix>, std::less<>> quantized_;
  std::map<WeightRef, Composition> compositions_;  // by their first part
  std::map<std::vector<std::uint32_t>, WeightRef> permutations_;
  std::vector<v1::Weight> weights_;
  std::vector<Recipe> recipes_;
  std::map<std::string, WeightRef, std::less<>> known_;
  std::vector<bool> used_;  // by the tensor's place in the index; empty before the first
  Status status_;
};

// The bytes that `recipe` makes: a part of its tensor's, or of `owned`, which is filled if they had
// to be made. Requires a recipe of Weights whose status() is ok, and not a constant's. Pure; any
// thread.
std::span<const std::byte> MakeBytes(const Weights::Recipe& recipe, std::vector<std::byte>* owned);

}  // namespace bramble::model::families
