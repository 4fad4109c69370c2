#include "kernels/portable/matmul_f32.h"

#include <cstring>

#include "kernels/math.h"
#include "kernels/portable/matmul_layout.h"
#include "kernels/portable/segments.h"

namespace bramble::kernels::portable {
namespace {

constexpr std::size_t kTileRows = 16;

struct Tile {
  float sums[kMaxSegments][kTileRows][kPanelRows];
  float weights[kPieceInputs][kPanelRows];
};

// weights[i][o] = input first + i of row o of the panel.
void DecodePiece(const EncodingInfo& info, const std::byte* panel, std::size_t row_bytes,
                 std::size_t first, std::size_t inputs, Tile* tile) {
  float row[kPieceInputs];
  for (std::size_t o = 0; o < kPanelRows; ++o) {
    info.decode(panel + o * row_bytes + first / info.block_values * info.block_bytes,
                inputs / info.block_values, row);
    for (std::size_t i = 0; i < inputs; ++i) tile->weights[i][o] = row[i];
  }
}

void Store(const MatmulArgs& args, const Tile& tile, std::size_t first_row, std::size_t rows,
           std::size_t first_output) {
  const std::size_t rest = args.last_output - first_output;
  const std::size_t outputs = rest < kPanelRows ? rest : kPanelRows;
  for (std::size_t r = 0; r < rows; ++r) {
    float* output = args.output + (first_row + r) * args.output_stride + first_output;
    for (std::size_t o = 0; o < outputs; ++o) {
      float value = JoinSegments(&tile.sums[0][r][o], kTileRows * kPanelRows, args.shape->segments);
      if (args.bias != nullptr) value += args.bias[first_output + o];
      output[o] = value;
    }
  }
}

}  // namespace

void AddPiece(const float* weights, std::size_t inputs, const std::byte* input,
              std::size_t input_stride, std::size_t rows, float* sums) {
  for (std::size_t r = 0; r < rows; ++r, sums += kPanelRows) {
    float x[kPieceInputs];
    std::memcpy(x, input + r * input_stride, inputs * sizeof(float));
    float acc[kPanelRows];
    std::memcpy(acc, sums, sizeof(acc));
    for (std::size_t i = 0; i < inputs; ++i) {
      const float* w = weights + i * kPanelRows;
      for (std::size_t o = 0; o < kPanelRows; ++o) acc[o] = Fma(w[o], x[i], acc[o]);
    }
    std::memcpy(sums, acc, sizeof(acc));
  }
}

void RunDecoded(const MatmulArgs& args, const EncodingInfo& info, AddPieceFn add_piece) {
  const MatmulShape& shape = *args.shape;
  const std::size_t row_bytes = FileRowBytes(info, shape);
  Tile tile;
  for (std::size_t first_row = 0; first_row < args.rows; first_row += kTileRows) {
    const std::size_t left = args.rows - first_row;
    const std::size_t rows = left < kTileRows ? left : kTileRows;
    const std::byte* input = args.input + first_row * args.input_stride;
    for (std::size_t o = args.first_output; o < args.last_output; o += kPanelRows) {
      const std::byte* panel = args.packed + o * row_bytes;
      std::size_t at = 0;
      for (std::size_t s = 0; s < shape.segments; ++s) {
        std::memset(tile.sums[s], 0, sizeof(tile.sums[s]));
        while (at < shape.segment_ends[s]) {
          const std::size_t rest = shape.segment_ends[s] - at;
          const std::size_t inputs = rest < kPieceInputs ? rest : kPieceInputs;
          DecodePiece(info, panel, row_bytes, at, inputs, &tile);
          add_piece(&tile.weights[0][0], inputs, input + at * sizeof(float), args.input_stride,
                    rows, &tile.sums[s][0][0]);
          at += inputs;
        }
      }
      Store(args, tile, first_row, rows, o);
    }
  }
}

}  // namespace bramble::kernels::portable
