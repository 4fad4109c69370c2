#include "common/escape.h"

#include <array>
#include <cstdint>
#include <cstdio>
#include <optional>

namespace bramble {
namespace {

struct Utf8Character {
  std::optional<char32_t> character;  // none where the bytes are not UTF-8
  std::size_t bytes = 1;
};

// Requires at least one byte.
Utf8Character FirstCharacter(std::string_view bytes) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || bytes.size() < length) return {};
  char32_t character = lead & (0xffU >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0U) != 0x80) return {};
    character = (character << 6U) | (byte(i) & 0x3fU);
  }
  // Longer than needed, half of a surrogate pair, or beyond Unicode.
  static constexpr std::array<char32_t, 5> kSmallest = {0, 0, 0x80, 0x800, 0x10000};
  if (character < kSmallest[length] || character > 0x10ffff) return {};
  if (character >= 0xd800 && character <= 0xdfff) return {};
  return {character, length};
}

// False for what could move a terminal's cursor, hide text or break a line: C0, DEL, C1,
// bidirectional controls, line and paragraph separators, the byte order mark.
bool IsPrintable(char32_t c) {
  const bool control = c < 0x20 || (c >= 0x7f && c <= 0x9f);
  const bool direction = c == 0x61c || c == 0x200e || c == 0x200f || (c >= 0x202a && c <= 0x202e) ||
                         (c >= 0x2066 && c <= 0x2069);
  return !control && !direction && c != 0x2028 && c != 0x2029 && c != 0xfeff;
}

std::string HexByte(unsigned char byte) {
  std::array<char, 8> text{};
  std::snprintf(text.data(), text.size(), "\\x%02x", byte);
  return text.data();
}

std::string JsonEscape(char32_t character) {
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), "\\u%04x", static_cast<unsigned>(character));
  return text.data();
}

// One character (or one byte that is none) in the form for people.
std::string PrintablePart(std::string_view part, std::optional<char32_t> character) {
  if (part == "\n") return "\\n";
  if (part == "\t") return "\\t";
  if (part == "\r") return "\\r";
  if (part == "\\") return "\\\\";
  if (character && IsPrintable(*character)) return std::string(part);
  std::string escaped;
  for (const char byte : part) escaped += HexByte(static_cast<unsigned char>(byte));
  return escaped;
}

std::string JsonPart(std::string_view part, std::optional<char32_t> character) {
  if (part == "\n") return "\\n";
  if (part == "\t") return "\\t";
  if (part == "\r") return "\\r";
  if (part == "\\") return "\\\\";
  if (part == "\"") return "\\\"";
  if (!character) return "\\ufffd";
  return IsPrintable(*character) ? std::string(part) : JsonEscape(*character);
}

template <typename Part>
std::string Escape(std::string_view bytes, std::size_t limit, Part part_of) {
  std::string text;
  while (!bytes.empty()) {
    const Utf8Character next = FirstCharacter(bytes);
    const std::string part = part_of(bytes.substr(0, next.bytes), next.character);
    if (text.size() + part.size() > limit) return text + "...";
    text += part;
    bytes.remove_prefix(next.bytes);
  }
  return text;
}

}  // namespace

std::string Printable(std::string_view bytes, std::size_t limit) {
  return Escape(bytes, limit, PrintablePart);
}

std::string JsonEscaped(std::string_view bytes, std::size_t limit) {
  return Escape(bytes, limit, JsonPart);
}

}  // namespace bramble
