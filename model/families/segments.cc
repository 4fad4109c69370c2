#include "model/families/segments.h"

#include <algorithm>
#include <numeric>

#include "common/check.h"

namespace bramble::model::families {
namespace {

constexpr std::uint32_t kMostSegments = 8;
constexpr std::uint32_t kGroup = 32;  // of 8-bit activations

}  // namespace

std::vector<std::uint32_t> SegmentEnds(std::uint32_t inputs, std::uint32_t block_values) {
  CHECK(block_values > 0);
  const std::uint32_t unit = std::lcm(block_values, kGroup);
  const std::uint64_t units = (inputs + unit - 1) / unit;
  const std::uint64_t segments = std::min<std::uint64_t>(kMostSegments, units);
  std::vector<std::uint32_t> ends;
  for (std::uint64_t s = 1; s < segments; ++s) {
    ends.push_back(static_cast<std::uint32_t>(s * units / segments * unit));
  }
  ends.push_back(inputs);
  return ends;
}

std::vector<std::uint32_t> HeadSegmentEnds(std::uint32_t inputs, std::uint32_t block_values,
                                           std::uint32_t kv_heads) {
  CHECK(block_values > 0);
  const std::uint32_t unit = std::lcm(block_values, kGroup);
  std::uint32_t segments = 1;
  for (std::uint32_t s = 2; s <= kMostSegments; ++s) {
    if (kv_heads % s == 0 && inputs % s == 0 && inputs / s % unit == 0) segments = s;
  }
  std::vector<std::uint32_t> ends;
  for (std::uint32_t s = 1; s <= segments; ++s) ends.push_back(inputs / segments * s);
  return ends;
}

}  // namespace bramble::model::families
