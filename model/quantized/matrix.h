#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "bramble/v1/program.pb.h"
#include "common/status.h"
#include "model/files/tensor_index.h"

namespace bramble::model::quantized {

// Columns [first, first + count) of a matrix in one encoding.
struct Part {
  v1::Encoding encoding = v1::ENCODING_UNSPECIFIED;
  std::uint32_t first = 0;
  std::uint32_t count = 0;
};

// What 32 columns of an output share: value = scale * (code - zero), or scale * table[code].
struct Shared {
  float scale = 0;
  std::int32_t zero = 0;
};

// A matrix [outputs, inputs] that a checkpoint keeps as several tensors, in a layout of its own.
// Its columns stand in the order in which the file has groups of them; each part of them becomes
// blocks of one encoding of ours, with the very codes and scales of the file. Immutable: any
// thread.
class Matrix {
 public:
  virtual ~Matrix() = default;
  Matrix(const Matrix&) = delete;
  Matrix& operator=(const Matrix&) = delete;

  std::uint32_t outputs() const { return outputs_; }
  std::uint32_t inputs() const { return inputs_; }
  // Whether it may be what a description calls a matrix of so many outputs: some layouts pad.
  bool Fits(std::uint32_t outputs) const {
    return outputs <= outputs_ && outputs_ - outputs <= padding_;
  }
  // In order; together all columns.
  const std::vector<Part>& parts() const { return parts_; }
  // Column i of the parts multiplies input permutation()[i]; empty: input i.
  const std::vector<std::uint32_t>& permutation() const { return permutation_; }
  // The tensors that it is made of.
  const std::vector<const files::Tensor*>& tensors() const { return tensors_; }

  // Writes `count` outputs from `first` on of a part, a row of blocks each, to `out`.
  void Write(const Part& part, std::uint32_t first, std::uint32_t count, std::byte* out) const;

 protected:
  static constexpr std::uint32_t kTile = 16;   // outputs that are read together
  static constexpr std::uint32_t kGroup = 32;  // columns that share a scale at least

  Matrix(std::uint32_t outputs, std::uint32_t inputs) : outputs_(outputs), inputs_(inputs) {}

  // Of `count` <= kTile outputs from `first` on: the code of every column, codes[o * inputs() + i];
  // and what each kGroup columns share, shared[o * (inputs() / kGroup) + i].
  virtual void Read(std::uint32_t first, std::uint32_t count, std::uint8_t* codes,
                    Shared* shared) const = 0;

  void AddPart(v1::Encoding encoding, std::uint32_t first, std::uint32_t count) {
    parts_.push_back({encoding, first, count});
  }
  void Uses(const files::Tensor* tensor) { tensors_.push_back(tensor); }
  void MayHavePadding(std::uint32_t most) { padding_ = most; }
  void SetPermutation(std::vector<std::uint32_t> order) { permutation_ = std::move(order); }

 private:
  std::uint32_t outputs_;
  std::uint32_t inputs_;
  std::uint32_t padding_ = 0;
  std::vector<Part> parts_;
  std::vector<std::uint32_t> permutation_;
  std::vector<const files::Tensor*> tensors_;
};

// Integers of `bits` (2, 3, 4, 5, 6 or 8) whose scale and zero do not change within `group`
// columns. UNSPECIFIED for other widths.
v1::Encoding IntegerEncoding(std::uint32_t bits, std::uint32_t group);

// The bits of value `at` of a stream of `bits`-bit values, lowest first, in words that lie `step`
// words apart.
std::uint32_t StreamValue(const std::byte* words, std::size_t step, std::uint32_t bits,
                          std::size_t at);

}  // namespace bramble::model::quantized
