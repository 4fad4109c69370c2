// y = x W^T + b: products of activations with a weight matrix in any encoding.
//
// The matrix is repacked once, when it is loaded, into the layout that the chosen kernel likes
// (panels of 16 output rows); results do not depend on the layout. Each output is computed from its
// own weights and one input row alone, so any division of rows and outputs among calls and threads
// gives the same bits. The order of the sums is specified in docs/arithmetic.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/cpu.h"
#include "kernels/encodings/encoding.h"

namespace bramble::kernels {

inline constexpr std::size_t kPanelRows = 16;
inline constexpr std::size_t kMaxSegments = 8;

// The numbers are those of bramble.v1.InputForm.
enum class InputForm : std::uint8_t {
  kF32 = 1,  // rows of f32; the weights are decoded to f32
  kA8 = 2,   // rows of A8Group (kernels/a8.h)
};

struct MatmulShape {
  std::uint32_t outputs;  // rows of the matrix, at least 1
  std::uint32_t
      inputs;  // its columns: whole blocks of the encoding; with kA8 also a multiple of 32
  // The sum over the inputs is cut here: `segments` (1 to 8) rising ends, the last one is `inputs`,
  // the others are multiples of 32 and of the encoding's block.
  std::uint32_t segments;
  std::uint32_t segment_ends[kMaxSegments];
};

// Panels of a matrix: the last one may be partly padding.
inline constexpr std::size_t Panels(const MatmulShape& shape) {
  return (shape.outputs + kPanelRows - 1) / kPanelRows;
}

struct MatmulArgs {
  const MatmulShape* shape;
  const std::byte* packed;  // as `pack` wrote it
  const std::byte*
      input;  // `rows` input rows; kF32: any alignment of a float; kA8: multiples of 16 bytes
  std::size_t input_stride;   // bytes from one input row to the next
  std::size_t rows;           // may be 0
  const float* bias;          // [outputs], or null
  float* output;              // [rows, outputs]: output o of row r is output[r * output_stride + o]
  std::size_t output_stride;  // in floats
  // The outputs to compute: [first_output, last_output). first_output is a multiple of 16;
  // last_output is too, or it is `outputs`. Nothing else is written.
  std::size_t first_output;
  std::size_t last_output;
};

// One way to multiply one encoding with one form of input. Pure functions: any thread; nothing is
// allocated.
struct MatmulKernel {
  const char* name;  // "matmul/q4_1/a8/avx2"
  Encoding encoding;
  InputForm form;
  Features needs;

  // Size of the repacked matrix; it must lie at a multiple of 64 bytes. Panel p begins at p *
  // packed_bytes / Panels(shape).
  std::size_t (*packed_bytes)(const MatmulShape& shape);

  // Packs panels [first_panel, last_panel). `rows`: the whole matrix in file order (outputs x
  // inputs, row-major, no padding; any alignment), of which only these panels' rows are read.
  // `packed`: the whole packed matrix, of which only these panels' bytes are written. So several
  // threads may pack disjoint panels.
  void (*pack)(const MatmulShape& shape, const std::byte* rows, std::byte* packed,
               std::size_t first_panel, std::size_t last_panel);

  // Writes the `inputs` values of row `row`: exactly those that the encoding's `decode` gives.
  void (*unpack_row)(const MatmulShape& shape, const std::byte* packed, std::size_t row,
                     float* out);

  void (*run)(const MatmulArgs& args);
};

// The best kernel that `available` can run. Null: the encoding takes no such input
// (EncodingInfo::takes_a8).
const MatmulKernel* FindMatmul(Encoding encoding, InputForm form, Features available);

// All of them; those of one encoding and form best first.
std::span<const MatmulKernel> MatmulKernels();

// The usual segments of a matrix: S = min(8, n) for n blocks of max(32, block_values) inputs,
// segment s ending at block (s + 1) * n / S; a rest of less than a block (float encodings only)
// belongs to the last one.
void DefaultSegments(MatmulShape* shape, std::size_t block_values);

}  // namespace bramble::kernels
