// The layout of panels: 16 rows of a matrix, interleaved so that a vector register holds the same
// numbers of several rows.
//
// A panel is a row of units, one for each block of the encoding; a unit is a list of fields, and a
// field is a list of elements of 1, 2 or 4 bytes, each of which is stored for rows 0 to 15 in turn.
// So the 16 bytes of nibbles of a Q4_0 block become four lines of 64 bytes, the four bytes of row r
// at 4 r. Every line begins at a multiple of 32 bytes.
//
// Only constants: files with instruction-set flags include this.
#pragma once

#include <cstddef>

#include "kernels/encodings/encoding.h"

namespace bramble::kernels::panels {

inline constexpr std::size_t kMaxFields = 5;

// Bytes [from, from + bytes) of an expanded block.
struct Field {
  std::size_t from;
  std::size_t bytes;
  std::size_t element;  // 1, 2 or 4; divides bytes
};

// An expanded block is a block of the file whose scales have been spread to bytes; where nothing is
// spread, it is the block itself.
struct Layout {
  Encoding encoding;
  std::size_t expanded_bytes;
  Field fields[kMaxFields];  // in the order of the unit; bytes = 0: no more
  // Null if nothing is spread. Each is the other's inverse.
  void (*expand)(const std::byte* block, std::byte* expanded);
  void (*restore)(const std::byte* expanded, std::byte* block);
};

// Where the fields of a unit begin, in bytes; kUnit is its size.
struct Q40 {
  static constexpr std::size_t kScales = 0;    // f16 [16 rows]
  static constexpr std::size_t kNibbles = 32;  // 4 lines
  static constexpr std::size_t kUnit = 288;
};
struct Q41 {
  static constexpr std::size_t kScales = 0;
  static constexpr std::size_t kMinima = 32;  // f16
  static constexpr std::size_t kNibbles = 64;
  static constexpr std::size_t kUnit = 320;
};
// The 32 high bits of a row become one line: bit j of byte b of the row's four bytes belongs to
// value 4 j + b.
struct Q50 {
  static constexpr std::size_t kScales = 0;
  static constexpr std::size_t kHigh = 32;
  static constexpr std::size_t kNibbles = 96;
  static constexpr std::size_t kUnit = 352;
};
struct Q51 {
  static constexpr std::size_t kScales = 0;
  static constexpr std::size_t kMinima = 32;
  static constexpr std::size_t kHigh = 64;
  static constexpr std::size_t kNibbles = 128;
  static constexpr std::size_t kUnit = 384;
};
struct Q80 {
  static constexpr std::size_t kScales = 0;
  static constexpr std::size_t kBytes = 32;  // 8 lines
  static constexpr std::size_t kUnit = 544;
};
// Integer scales come in pairs of bytes, one pair for each group of 32 values and row: 32 bytes a
// group.
struct Q2K {
  static constexpr std::size_t kScales = 0;
  static constexpr std::size_t kMinima = 32;
  static constexpr std::size_t kPairs =
      64;  // 8 x 32 bytes: scale in the low nibble, minimum in the high one
  static constexpr std::size_t kTwos = 320;  // 16 lines
  static constexpr std::size_t kUnit = 1344;
};
struct Q3K {
  static constexpr std::size_t kScales = 0;
  static constexpr std::size_t kPairs = 32;  // 8 x 32 bytes: signed
  static constexpr std::size_t kHigh = 288;  // 8 lines
  static constexpr std::size_t kTwos = 800;  // 16 lines
  static constexpr std::size_t kUnit = 1824;
};
struct Q4K {
  static constexpr std::size_t kScales = 0;
  static constexpr std::size_t kMinima = 32;
  static constexpr std::size_t kPairs = 64;     // 8 x 32 bytes: scale, minimum
  static constexpr std::size_t kNibbles = 320;  // 32 lines
  static constexpr std::size_t kUnit = 2368;
};
struct Q5K {
  static constexpr std::size_t kScales = 0;
  static constexpr std::size_t kMinima = 32;
  static constexpr std::size_t kPairs = 64;
  static constexpr std::size_t kHigh = 320;     // 8 lines
  static constexpr std::size_t kNibbles = 832;  // 32 lines
  static constexpr std::size_t kUnit = 2880;
};
struct Q6K {
  static constexpr std::size_t kScales = 0;
  static constexpr std::size_t kPairs = 32;      // 8 x 32 bytes: signed
  static constexpr std::size_t kHigh = 288;      // 16 lines
  static constexpr std::size_t kNibbles = 1312;  // 32 lines
  static constexpr std::size_t kUnit = 3360;
};
// Integers with a zero. kWide is where the values' low 2, 4 or 8 bits begin, kHigh where what is
// above them. A line of two bits holds inputs 4 l + 8 k, k = 0 .. 3; one of high bits is as Q50's.
struct Int2 {
  static constexpr std::size_t kScales = 0;  // f32 [16 rows]
  static constexpr std::size_t kZeros = 64;  // i16
  static constexpr std::size_t kWide = 96;   // 2 lines
  static constexpr std::size_t kUnit = 224;
};
struct Int3 {
  static constexpr std::size_t kScales = 0;
  static constexpr std::size_t kZeros = 64;
  static constexpr std::size_t kHigh = 96;
  static constexpr std::size_t kWide = 160;  // 2 lines
  static constexpr std::size_t kUnit = 288;
};
struct Int4 {
  static constexpr std::size_t kScales = 0;
  static constexpr std::size_t kZeros = 64;
  static constexpr std::size_t kWide = 96;  // 4 lines
  static constexpr std::size_t kUnit = 352;
};
struct Int5 {
  static constexpr std::size_t kScales = 0;
  static constexpr std::size_t kZeros = 64;
  static constexpr std::size_t kHigh = 96;
  static constexpr std::size_t kWide = 160;  // 4 lines
  static constexpr std::size_t kUnit = 416;
};
struct Int6 {
  static constexpr std::size_t kScales = 0;
  static constexpr std::size_t kZeros = 64;
  static constexpr std::size_t kHigh = 96;   // 2 lines of two bits
  static constexpr std::size_t kWide = 224;  // 4 lines
  static constexpr std::size_t kUnit = 480;
};
struct Int8 {
  static constexpr std::size_t kScales = 0;
  static constexpr std::size_t kZeros = 64;
  static constexpr std::size_t kWide = 96;  // 8 lines
  static constexpr std::size_t kUnit = 608;
};
struct Int4x128 {
  static constexpr std::size_t kScales = 0;
  static constexpr std::size_t kZeros = 64;
  static constexpr std::size_t kWide = 96;  // 4 groups of 4 lines
  static constexpr std::size_t kUnit = 1120;
};
// A line holds 8 inputs: nibble k of a row's four bytes belongs to input 8 l + k.
struct CodebookPanel {
  static constexpr std::size_t kScales = 0;  // f32
  static constexpr std::size_t kLines = 64;  // 8
  static constexpr std::size_t kUnit = 576;
};
// A line holds 4 inputs.
struct F8Panel {
  static constexpr std::size_t kScales = 0;  // f32
  static constexpr std::size_t kLines = 64;  // 8
  static constexpr std::size_t kUnit = 576;
};
// One value a unit.
struct F32Panel {
  static constexpr std::size_t kUnit = 64;
};
struct F16Panel {
  static constexpr std::size_t kUnit = 32;
};
struct Bf16Panel {
  static constexpr std::size_t kUnit = 32;
};

}  // namespace bramble::kernels::panels
