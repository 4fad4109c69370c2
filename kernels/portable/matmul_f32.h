// Products of any encoding with f32 inputs: weights are decoded, 16 rows at a time. For ordinary
// code only.
#pragma once

#include <cstddef>

#include "kernels/matmul.h"

namespace bramble::kernels::portable {

// The largest block, so that a piece is whole blocks of any encoding.
inline constexpr std::size_t kPieceInputs = 256;

// Adds to sums (16 outputs of each of `rows` input rows, [rows][16]) the products of `inputs` <=
// kPieceInputs inputs by fma in rising input. weights: [inputs][16]; input: the piece's first
// number of the first row.
using AddPieceFn = void (*)(const float* weights, std::size_t inputs, const std::byte* input,
                            std::size_t input_stride, std::size_t rows, float* sums);

void AddPiece(const float* weights, std::size_t inputs, const std::byte* input,
              std::size_t input_stride, std::size_t rows, float* sums);

// The product for rows in file order (portable/matmul_layout.h). Everything but the inner loop,
// which is the caller's.
void RunDecoded(const MatmulArgs& args, const EncodingInfo& info, AddPieceFn add_piece);

template <Encoding kEncoding>
void RunF32(const MatmulArgs& args) {
  RunDecoded(args, *FindEncoding(kEncoding), AddPiece);
}

}  // namespace bramble::kernels::portable
