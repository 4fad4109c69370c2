#include "cli/numbers.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include "common/check.h"
#include "common/settings.h"

namespace bramble::cli {

Result<std::vector<std::uint32_t>> ParseIds(std::string_view text, std::string_view what) {
  std::vector<std::uint32_t> ids;
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    ASSIGN_OR_RETURN(const std::int64_t id, ParseInteger(text.substr(0, comma), what));
    if (id < 0 || id > std::numeric_limits<std::int32_t>::max()) {
      return Invalid(what, ": ", id, " is no number from 0 to ",
                     std::numeric_limits<std::int32_t>::max());
    }
    ids.push_back(static_cast<std::uint32_t>(id));
    text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
  }
  return ids;
}

std::vector<float> FloatsFrom(std::string_view bytes) {
  CHECK(bytes.size() % sizeof(float) == 0);
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

std::vector<IndexedLogit> Largest(const std::vector<float>& logits, std::size_t count) {
  std::vector<IndexedLogit> all(logits.size());
  for (std::size_t i = 0; i < logits.size(); ++i)
    all[i] = {static_cast<std::uint32_t>(i), logits[i]};
  count = std::min(count, all.size());
  std::partial_sort(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(count), all.end(),
                    [](const IndexedLogit& a, const IndexedLogit& b) {
                      return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
                    });
  all.resize(count);
  return all;
}

double StandardDeviation(const std::vector<float>& values) {
  if (values.empty()) return 0;
  const auto n = static_cast<double>(values.size());
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
  double squares = 0;
  for (const float value : values) squares += (value - mean) * (value - mean);
  return std::sqrt(squares / n);
}

double Median(std::vector<double> values) {
  CHECK(!values.empty());
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

}  // namespace bramble::cli
