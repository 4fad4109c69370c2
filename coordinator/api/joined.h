#pragma once

#include <sstream>
#include <string>
#include <utility>

namespace bramble::coordinator {

// The parts as one text, numbers in decimal. Not operator+: GCC 12 warns of an overlap that is none
// where a literal meets a temporary string (GCC bug 105329).
template <typename... Parts>
std::string Joined(const Parts&... parts) {
  std::ostringstream text;
  (text << ... << parts);
  return std::move(text).str();
}

}  // namespace bramble::coordinator
