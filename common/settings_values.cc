// The types of single settings: from text to value.
#include <array>
#include <charconv>
#include <cmath>
#include <limits>

#include "common/escape.h"
#include "common/settings.h"

namespace bramble {
namespace {

struct Unit {
  std::string_view name;
  double factor;
};
constexpr std::array<Unit, 14> kSizeUnits = {{{"", 1.0},
                                              {"b", 1.0},
                                              {"k", 0x1p10},
                                              {"kb", 0x1p10},
                                              {"kib", 0x1p10},
                                              {"m", 0x1p20},
                                              {"mb", 0x1p20},
                                              {"mib", 0x1p20},
                                              {"g", 0x1p30},
                                              {"gb", 0x1p30},
                                              {"gib", 0x1p30},
                                              {"t", 0x1p40},
                                              {"tb", 0x1p40},
                                              {"tib", 0x1p40}}};
constexpr std::array<Unit, 5> kDurationUnits = {
    {{"ms", 1.0}, {"s", 1e3}, {"m", 60e3}, {"h", 3600e3}, {"d", 86400e3}}};

// Any larger value would lose digits on its way through a double.
constexpr double kLargestExact = 0x1p53;

std::string LowerCase(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

// "1.5GiB" in units of one; a negative number if it is not one of these.
double NumberWithUnit(std::string_view text, std::span<const Unit> units) {
  double number = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, number, std::chars_format::fixed);
  if (parsed.ec != std::errc() || !std::isfinite(number)) return -1;
  const std::string unit =
      LowerCase(text.substr(static_cast<std::size_t>(parsed.ptr - text.data())));
  for (const Unit& row : units) {
    if (row.name == unit) return number * row.factor;
  }
  return -1;
}

}  // namespace

Result<std::uint64_t> ParseSize(std::string_view text, std::string_view what) {
  const double bytes = NumberWithUnit(text, kSizeUnits);
  if (bytes < 0 || bytes > kLargestExact || std::floor(bytes) != bytes) {
    return Invalid(what, " '", Printable(text),
                   "' is not a size as 512M, 4G or 1.5GiB (powers of 1024, at most 8192T)");
  }
  return static_cast<std::uint64_t>(bytes);
}

Result<std::chrono::milliseconds> ParseDuration(std::string_view text, std::string_view what) {
  const double milliseconds = text == "0" ? 0 : NumberWithUnit(text, kDurationUnits);
  // Longer ones would overflow nanoseconds in 64 bits.
  constexpr double kLongest = 292.0 * 365 * 86400e3;
  if (milliseconds < 0 || milliseconds > kLongest || std::floor(milliseconds) != milliseconds) {
    return Invalid(what, " '", Printable(text), "' is not a time as 250ms, 10s, 5m, 24h or 7d");
  }
  return std::chrono::milliseconds(static_cast<std::int64_t>(milliseconds));
}

Result<std::int64_t> ParseInteger(std::string_view text, std::string_view what) {
  std::int64_t number = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, number);
  if (parsed.ec != std::errc() || parsed.ptr != end) {
    return Invalid(what, " '", Printable(text), "' is not a whole number of at most 64 bits");
  }
  return number;
}

Result<double> ParseNumber(std::string_view text, std::string_view what) {
  double number = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, number);
  if (parsed.ec != std::errc() || parsed.ptr != end || !std::isfinite(number)) {
    return Invalid(what, " '", Printable(text), "' is not a number");
  }
  return number;
}

}  // namespace bramble
