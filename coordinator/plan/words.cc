#include "coordinator/plan/words.h"

#include <array>
#include <cmath>
#include <cstdio>

namespace bramble::coordinator {
namespace {

std::string Printed(const char* format, double value) {
  std::array<char, 64> text{};
  const int length = std::snprintf(text.data(), text.size(), format, value);
  return {text.data(), static_cast<std::size_t>(length > 0 ? length : 0)};
}

}  // namespace

std::string BytesText(std::uint64_t bytes) {
  static constexpr std::array<const char*, 5> kUnits = {" KiB", " MiB", " GiB", " TiB", " PiB"};
  if (bytes < 1024) return std::to_string(bytes) + " B";
  double value = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  while (value >= 1023.95 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  return Printed("%.1f", value) + kUnits[unit];
}

std::string NumberText(double value) {
  if (value == 0) return "0";
  const int digits = 2 - static_cast<int>(std::floor(std::log10(std::abs(value))));
  if (digits >= 0) {
    std::array<char, 64> text{};
    const int length = std::snprintf(text.data(), text.size(), "%.*f", digits, value);
    return {text.data(), static_cast<std::size_t>(length > 0 ? length : 0)};
  }
  const double step = std::pow(10.0, -digits);
  return Printed("%.0f", std::round(value / step) * step);
}

std::string SecondsText(double seconds) {
  if (seconds >= 1) return NumberText(seconds) + " s";
  if (seconds >= 1e-3) return NumberText(seconds * 1e3) + " ms";
  return NumberText(seconds * 1e6) + " us";
}

std::string PaddedRight(const std::string& text, std::size_t width) {
  return text.size() >= width ? text : text + std::string(width - text.size(), ' ');
}

}  // namespace bramble::coordinator
