#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace bramble {

// Foreign bytes in a form that is safe to print: valid UTF-8 without control characters (see
// IsPrintable); everything else, and the backslash, becomes \n, \t, \\ or \xNN. What would be
// longer than `limit` bytes is cut at a character and gets "..." behind it.
std::string Printable(std::string_view bytes, std::size_t limit = 200);

// The same for the inside of a JSON string: " and \ are escaped, control characters become \n, \t
// or \uNNNN, bytes that are not UTF-8 become U+FFFD.
std::string JsonEscaped(std::string_view bytes, std::size_t limit = 200);

// The first character of `bytes` and its length; none where the bytes are not UTF-8 (then the
// length is 1). Requires at least one byte.
struct Utf8Character {
  std::optional<char32_t> character;
  std::size_t bytes = 1;
};
Utf8Character FirstCharacter(std::string_view bytes);

// False for what could move a terminal's cursor, hide text or break a line: C0, DEL, C1,
// bidirectional controls, line and paragraph separators, the byte order mark.
bool IsPrintable(char32_t character);

}  // namespace bramble
