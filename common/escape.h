#pragma once

#include <cstddef>
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

}  // namespace bramble
