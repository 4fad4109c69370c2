#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace bramble::coordinator {

// Quantities as people read them in plans and messages.
std::string BytesText(std::uint64_t bytes);  // "512 B", "45.1 MiB"
std::string SecondsText(double seconds);     // "3.21 ms", "85 us"
std::string NumberText(double value);        // three digits that count: "0.0123", "45.6", "1230"
std::string PaddedRight(const std::string& text, std::size_t width);

}  // namespace bramble::coordinator
