// How the numbers of a weight are stored: block formats, one row each in table.cc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace bramble::kernels {

// The numbers are those of bramble.v1.Encoding. The block formats are ggml's where the names agree;
// docs/arithmetic.md describes each to the bit.
enum class Encoding : std::uint8_t {
  kUnspecified = 0,
  kF32 = 1,
  kF16 = 2,
  kBf16 = 3,
  kQ4_0 = 4,
  kQ4_1 = 5,
  kQ5_0 = 6,
  kQ5_1 = 7,
  kQ8_0 = 8,
  kQ2_K = 9,
  kQ3_K = 10,
  kQ4_K = 11,
  kQ5_K = 12,
  kQ6_K = 13,
  kIq4Nl = 14,
  kIq4Xs = 15,
  kIq2Xxs = 16,
  kIq2Xs = 17,
  kIq2S = 18,
  kIq3Xxs = 19,
  kIq3S = 20,
  kIq1S = 21,
  kIq1M = 22,
  kTq1_0 = 23,
  kTq2_0 = 24,
  kMxfp4 = 25,
  kNvfp4 = 26,
  // Integers with a scale and an integer zero: blocks of 32, or of 128.
  kInt2 = 30,
  kInt3 = 31,
  kInt4 = 32,
  kInt5 = 33,
  kInt6 = 34,
  kInt8 = 35,
  kInt4x128 = 36,
  // Codebooks of floats, and floats of 8 bits, each with a scale.
  kNf4 = 37,
  kFp4 = 38,
  kF8E4M3 = 39,
};

// Writes the values of `count` consecutive blocks to out[0 .. count * block_values).
// blocks: count * block_bytes bytes, any alignment, any content (every bit pattern decodes to
// something; scales that are infinite or NaN give such values). Pure: any thread.
using DecodeFn = void (*)(const std::byte* blocks, std::size_t count, float* out);

struct EncodingInfo {
  Encoding encoding;
  // True where products take 8-bit inputs (a8/32, kernels/a8.h). Every encoding also takes f32
  // inputs.
  bool takes_a8;
  std::uint32_t block_values;  // values of one block; a matrix row is whole blocks
  std::uint32_t block_bytes;
  const char* name;  // "q4_1": lower case, ggml's name
  DecodeFn decode;
};

// Null if there is no such encoding (an unknown number may be cast and asked for).
const EncodingInfo* FindEncoding(Encoding encoding);

// All of them, by rising number.
std::span<const EncodingInfo> Encodings();

}  // namespace bramble::kernels
