#include "model/files/quote.h"

#include <cstdint>

namespace bramble::model::files {
namespace {

constexpr std::size_t kNameLimit = 80;
constexpr std::size_t kPathLimit = 4096;

// How many bytes the well-formed UTF-8 character at the start of `text` has; 0: it is not one.
std::size_t CharacterBytes(std::string_view text, std::uint32_t* code) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t first = byte(0);
  if (first < 0x80) {
    *code = first;
    return 1;
  }
  const std::size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < length) return 0;
  std::uint32_t value = first & (0xFFu >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
    value = value << 6 | (byte(i) & 0x3Fu);
  }
  const std::uint32_t least = length == 4 ? 0x10000u : length == 3 ? 0x800u : 0x80u;
  if (value < least || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) return 0;
  *code = value;
  return length;
}

// Controls (C0, DEL, C1) move the cursor or worse; line separators and bidirectional controls make
// a line read as something it is not.
bool IsHarmless(std::uint32_t code) {
  return code >= 0x20 && (code < 0x7F || code > 0x9F) && (code < 0x2028 || code > 0x202E) &&
         (code < 0x2066 || code > 0x2069) && code != 0x200E && code != 0x200F && code != 0xFEFF;
}

}  // namespace

std::string Escape(std::string_view text, std::size_t limit) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  std::size_t at = 0;
  while (at < text.size() && at < limit) {
    std::uint32_t code = 0;
    const std::size_t length = CharacterBytes(text.substr(at), &code);
    if (length > 0 && IsHarmless(code)) {
      out.append(text.substr(at, length));
      at += length;
      continue;
    }
    for (const std::size_t end = at + (length > 0 ? length : 1); at < end; ++at) {
      const auto byte = static_cast<std::uint8_t>(text[at]);
      out.append("\\x");
      out.push_back(kDigits[byte >> 4]);
      out.push_back(kDigits[byte & 15]);
    }
  }
  if (at < text.size()) out.append("...");
  return out;
}

std::string Quote(std::string_view name) {
  std::string quoted = "'";
  quoted += Escape(name, kNameLimit);
  quoted += '\'';
  return quoted;
}

std::string QuotePath(std::string_view path) { return Escape(path, kPathLimit); }

}  // namespace bramble::model::files
