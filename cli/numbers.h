#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"

namespace bramble::cli {

// "1,2,30" -> {1, 2, 30}. InvalidArgument names `what` and the word that is no number.
Result<std::vector<std::uint32_t>> ParseIds(std::string_view text, std::string_view what);

// Little-endian f32 bytes, as the wire carries logits.
std::vector<float> FloatsFrom(std::string_view bytes);

struct IndexedLogit {
  std::uint32_t id = 0;
  float logit = 0;
};

// The `count` largest, falling; ties to the lower id.
std::vector<IndexedLogit> Largest(const std::vector<float>& logits, std::size_t count);

// Population standard deviation, in double.
double StandardDeviation(const std::vector<float>& values);

// The median; requires at least one value.
double Median(std::vector<double> values);

}  // namespace bramble::cli
