#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace bramble::model::text {

// One step through bytes that should be UTF-8.
struct Utf8Step {
  char32_t letter = 0;    // the code point; U+FFFD for an ill-formed part
  std::size_t bytes = 0;  // how many bytes it took: a character, or one maximal ill-formed part
  bool valid = false;
  bool incomplete = false;  // not valid, but more bytes could make it so
};

// The character, or the maximal ill-formed part (Unicode standard, chapter 3, "U+FFFD substitution
// of maximal subparts"), at the beginning of `bytes`. Requires that it is not empty.
Utf8Step NextUtf8(std::string_view bytes);

// The length of the character at the beginning of `text`, which must be valid UTF-8 and not empty.
inline std::size_t Utf8Length(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  if (lead < 0x80) return 1;
  if (lead < 0xe0) return 2;
  return lead < 0xf0 ? 3 : 4;
}

// Requires a code point below 0x110000 that is not a surrogate.
void AppendUtf8(char32_t letter, std::string& out);

bool IsUtf8(std::string_view bytes);

// The text of `bytes` with one U+FFFD for each maximal ill-formed part. An incomplete but still
// possible tail is left in `tail` if that is not null, else replaced too.
std::string ReplaceInvalidUtf8(std::string_view bytes, std::string* tail = nullptr);

}  // namespace bramble::model::text
