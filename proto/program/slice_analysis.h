#pragma once

#include <cstdint>
#include <vector>

#include "bramble/v1/program.pb.h"

namespace bramble::program {

// How one block can be cut: the same for all members.
//
// Values that operations treat column by column, or head by head, form a class and are cut at the
// same fractions: q, k and v with what an attention makes of them; gate, up and their product.
class SliceAnalysis {
 public:
  SliceAnalysis(const v1::Program& program, const v1::Block& block, std::uint64_t smallest_product);

  // Into how many equal pieces of columns the value can be cut; 1: every member has all of it.
  std::uint32_t Pieces(std::uint32_t value) const;
  // Into how many equal pieces a product's outputs can be cut that meet at once, because their
  // value is whole; 1: every member makes all of it.
  std::uint32_t PiecesOfProduct(const v1::Operation& linear) const;
  // Whether all who need the whole value take it in the form A8_32.
  bool TravelsAsA8(std::uint32_t value) const;
  // Whether only a sample reads the whole value.
  bool IsDrawnFrom(std::uint32_t value) const;

 private:
  // Of a value: those who need the whole of it, and those of its class.
  struct Readers {
    bool a8 = false;
    bool f32 = false;
    bool sample = false;
    bool other = false;
    bool of_class = false;
  };
  struct Class {
    std::uint64_t pieces = 0;   // the greatest common divisor of what its members allow
    std::uint64_t weights = 0;  // of the products that make it
    bool whole = false;
  };

  void Add(const v1::Operation& op);
  void AddAttention(const v1::Operation& op);
  void ReadWhole(const v1::Operation& op);
  void ReadInClass(const v1::Operation& op);
  void Join(std::uint32_t a, std::uint32_t b);
  std::uint32_t Root(std::uint32_t value) const;
  Class& ClassOf(std::uint32_t value) { return classes_[Root(value)]; }
  void Allow(std::uint32_t value, std::uint64_t pieces);
  std::uint64_t WeightsOf(const v1::Operation& linear) const;

  const v1::Program& program_;
  const v1::Block& block_;
  const std::uint64_t smallest_product_;
  std::vector<std::uint32_t> parent_;  // [value]
  std::vector<Class> classes_;         // [root value]
  std::vector<Readers> readers_;       // [value]
};

}  // namespace bramble::program
