// Inputs and comparisons for the tests of kernels/.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "kernels/encodings/encoding.h"
#include "kernels/matmul.h"

namespace bramble::kernels::testing {

// Lengths with every kind of tail.
inline constexpr std::size_t kLengths[] = {1,  2,  7,  8,  9,   15,   16,  17,
                                           31, 32, 33, 64, 100, 1000, 4097};

using Random = std::mt19937_64;

// Normally distributed, with deviation `scale`.
std::vector<float> RandomFloats(Random& random, std::size_t n, float scale = 1.0F);

// All kinds of magnitudes and both signs, zeros and subnormal numbers among them; all finite.
std::vector<float> WildFloats(Random& random, std::size_t n);

// Whole blocks of random bytes whose scales are ordinary numbers; every eighth block is all zero,
// and every eighth has a subnormal scale where the encoding can express one.
std::vector<std::byte> RandomBlocks(Random& random, Encoding encoding, std::size_t count);

// Makes all bytes of whole blocks `byte`, but for scales, which are ordinary numbers.
void FillBlocks(Random& random, Encoding encoding, std::byte byte, std::span<std::byte> blocks);

// The bits of floats, so that a comparison tells -0 from 0 and prints hexadecimal numbers.
std::vector<std::uint32_t> Bits(std::span<const float> x);

// How many representable numbers lie between; for finite a and b.
double UlpsFrom(float actual, double expected);

std::string GoldenPath(const std::string& name);
std::vector<std::byte> ReadFile(const std::string& path);

// Memory at a multiple of 64 bytes.
class AlignedBytes {
 public:
  explicit AlignedBytes(std::size_t size);
  std::byte* data() { return data_; }
  const std::byte* data() const { return data_; }

 private:
  std::vector<std::byte> storage_;
  std::byte* data_;
};

}  // namespace bramble::kernels::testing
