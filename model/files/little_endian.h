#pragma once

#include <bit>
#include <cstddef>
#include <cstring>

namespace bramble::model::files {

// The files are little-endian, and so is every machine that this is built for.
static_assert(std::endian::native == std::endian::little);

// A value of type T at `bytes`, of any alignment.
template <typename T>
T Load(const std::byte* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof(T));
  return value;
}

}  // namespace bramble::model::files
