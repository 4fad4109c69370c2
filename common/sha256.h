#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "common/status.h"

namespace bramble {

using Sha256 = std::array<std::uint8_t, 32>;

Sha256 Sha256Of(std::span<const std::byte> bytes);
Sha256 Sha256Of(std::string_view bytes);

// A hash of bytes that come in parts. Not thread-safe.
class Sha256Stream {
 public:
  Sha256Stream();
  ~Sha256Stream();
  Sha256Stream(const Sha256Stream&) = delete;
  Sha256Stream& operator=(const Sha256Stream&) = delete;

  void Add(std::span<const std::byte> bytes);
  void Add(std::string_view bytes);
  // Once, at the end.
  Sha256 Finish();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

// Lower case, two digits a byte.
std::string Hex(std::span<const std::uint8_t> bytes);
// Hex digits of either case, an even number of them.
Result<std::string> BytesFromHex(std::string_view hex);

// Compares in a time that depends on the lengths only.
bool EqualInConstantTime(std::string_view a, std::string_view b);

// `count` bytes of the operating system's randomness.
std::string RandomBytes(std::size_t count);
// `count` letters and digits of a-z2-7, 5 random bits each.
std::string RandomBase32(std::size_t count);

}  // namespace bramble
